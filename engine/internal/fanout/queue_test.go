package fanout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// What waits in several backlogs comes out in the order of the numbers, whatever was
// replaced or displaced before; a plain list is the oracle.
func TestBacklogsGiveMessagesInTheirOrder(t *testing.T) {
	seed := seeds.First(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	h, c := bareHub(t)
	m := c.member(h.fans[0])
	for i := range 9 {
		if err := h.Subscribe(m, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	f := m.fan()
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &waiting{m: m}
	m.rarely().slow.Store(w)
	for s := range m.subs {
		s.addBacklog(w)
	}
	type entry struct {
		b      *backlog
		number uint64
		key    string
	}
	var list []entry
	text := frames.New(codec.Text, []byte("text"), 0)
	for number := uint64(1); number <= 20_000; number++ {
		b := slices.Collect(m.subs)[rng.IntN(m.count())].backlog()
		msg := Message{Frames: text, number: number, Key: []string{"0", "1", "2", "", "", "", "", "", ""}[rng.IntN(9)]}
		oldest := slices.IndexFunc(list, func(e entry) bool { return e.b == b })
		same := slices.IndexFunc(list, func(e entry) bool { return e.b == b && e.key == msg.Key && e.key != "" })
		switch {
		case rng.IntN(2) == 0 && len(list) > 0:
			if got := w.pop().number; got != list[0].number {
				t.Fatalf("got number %d, want %d", got, list[0].number)
			}
			list = list[1:]
			continue
		case w.replace(b, msg, 0) != (same >= 0):
			t.Fatalf("number %d replaced another: %v, want %v", number, same < 0, same >= 0)
		case same >= 0:
			list = slices.Delete(list, same, same+1)
		case oldest >= 0 && rng.IntN(4) == 0:
			if n := w.displace(b, msg, 1); n != 1 {
				t.Fatalf("%d messages were displaced, want 1", n)
			}
			list = slices.Delete(list, oldest, oldest+1)
		default:
			w.push(b, msg)
		}
		list = append(list, entry{b, number, msg.Key})
	}
	for _, e := range list {
		if got := w.pop().number; got != e.number {
			t.Fatalf("got number %d, want %d", got, e.number)
		}
	}
	if len(w.queue) != 0 || w.held.Load() != 0 {
		t.Errorf("%d backlogs and %d bytes are left", len(w.queue), w.held.Load())
	}
}
