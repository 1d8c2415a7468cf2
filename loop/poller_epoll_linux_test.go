//go:build !portable

package loop

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// turner is a pollHandler that acts on its turns, by number.
type turner struct {
	began time.Time
	turns []func() (wait time.Duration, stop bool)
}

func (t *turner) tick() time.Duration { return time.Since(t.began) }
func (t *turner) ready(int, interest) {}
func (t *turner) turn() (time.Duration, bool) {
	next := t.turns[0]
	t.turns = t.turns[1:]
	return next()
}

// TestWakingALoopThatIsAwakeCostsNoSystemCall wakes the poller from inside a
// turn. The next turn has to come, though the poller was told that it may wait
// for ever, and nothing may have been written to get it.
func TestWakingALoopThatIsAwakeCostsNoSystemCall(t *testing.T) {
	pl, err := newEpollPoller()
	if err != nil {
		t.Fatal(err)
	}
	p := pl.(*epollPoller)
	defer p.close()
	written := true
	h := &turner{turns: []func() (time.Duration, bool){
		func() (time.Duration, bool) { p.wake(); return -1, false },
		func() (time.Duration, bool) {
			_, err := unix.Read(p.wakeFD, make([]byte, 8))
			written = err != unix.EAGAIN
			return 0, true
		},
	}}
	if err := p.run(h); err != nil {
		t.Fatal(err)
	}
	if written {
		t.Error("a wake from inside a turn was written to the descriptor")
	}
}

// TestWakeIsNeverLost wakes a loop that is about to wait, again and again: the
// test hangs if one turn is missing.
func TestWakeIsNeverLost(t *testing.T) {
	pl, err := newEpollPoller()
	if err != nil {
		t.Fatal(err)
	}
	p := pl.(*epollPoller)
	defer p.close()
	const wakes = 20000
	var mail atomic.Int32
	asked := make(chan struct{})
	go func() {
		for range asked {
			mail.Add(1)
			p.wake()
		}
	}()
	defer close(asked)
	h, answered := &turner{}, -1
	var turn func() (time.Duration, bool)
	turn = func() (time.Duration, bool) {
		h.turns = append(h.turns, turn)
		if answered < 0 || mail.Swap(0) > 0 {
			answered++
			asked <- struct{}{}
		}
		return -1, answered == wakes
	}
	h.turns = append(h.turns, turn)
	if err := p.run(h); err != nil {
		t.Fatal(err)
	}
}
