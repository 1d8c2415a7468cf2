package loop

import (
	"container/list"
	"runtime"
	"sync"
	"time"
)

// stuckAfter is how long no turn may be given back before one more handshake gets
// one: a callback of a tls.Config may wait for something.
const stuckAfter = 10 * time.Millisecond

// turns bounds how many handshakes compute at a time. Those that wait for their
// peers do not count. If a thousand goroutines were ready to run, a loop would
// wait for the scheduler for most of a second.
type turns struct {
	limit      int                  // immutable
	stuckAfter time.Duration        // immutable
	now        func() time.Duration // immutable

	mu      sync.Mutex
	taken   int
	waiting list.List     // of chan struct{}, closed when the turn has come
	moved   time.Duration // when the first began to wait, or a turn was given back or besides
	look    *time.Timer
	looking bool // look runs
}

// newTurns leaves each loop a processor of Go's, where there are as many.
func newTurns(loops int, now func() time.Duration) *turns {
	return &turns{limit: max(loops, runtime.GOMAXPROCS(0)-loops), stuckAfter: stuckAfter, now: now}
}

// take waits for a turn. A handshake whose peer has answered goes first: it is
// nearly over.
func (ts *turns) take(answered bool) {
	ts.mu.Lock()
	if ts.taken < ts.limit && ts.waiting.Len() == 0 {
		ts.taken++
		ts.mu.Unlock()
		return
	}
	come := make(chan struct{})
	if answered {
		ts.waiting.PushFront(come)
	} else {
		ts.waiting.PushBack(come)
	}
	if ts.waiting.Len() == 1 {
		ts.moved = ts.now()
	}
	ts.lookLocked()
	ts.mu.Unlock()
	<-come
}

// give gives a turn back. It does not wait.
func (ts *turns) give() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.taken--
	ts.moved = ts.now()
	for ts.taken < ts.limit && ts.waiting.Len() > 0 {
		ts.admitLocked()
	}
}

func (ts *turns) admitLocked() {
	ts.taken++
	close(ts.waiting.Remove(ts.waiting.Front()).(chan struct{}))
}

// lookLocked has moveOn called when nothing has moved for stuckAfter, as long as
// some wait.
func (ts *turns) lookLocked() {
	if ts.looking || ts.waiting.Len() == 0 {
		return
	}
	ts.looking = true
	in := ts.moved + ts.stuckAfter - ts.now()
	if ts.look == nil {
		ts.look = time.AfterFunc(in, ts.moveOn)
		return
	}
	ts.look.Reset(in)
}

// moveOn gives one more turn if nothing has moved.
func (ts *turns) moveOn() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.looking = false
	if ts.waiting.Len() > 0 && ts.now()-ts.moved >= ts.stuckAfter {
		ts.moved = ts.now()
		ts.admitLocked()
	}
	ts.lookLocked()
}
