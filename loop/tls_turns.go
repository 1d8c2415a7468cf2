package loop

import (
	"container/list"
	"runtime"
	"sync"
	"time"
)

// stuckAfter is how long all turns may be taken without one being given back
// before another handshake gets one besides: a callback of a tls.Config may wait
// for something.
const stuckAfter = 10 * time.Millisecond

// turns bounds how many handshakes compute at a time. Those that wait for their
// peers do not count. A thousand goroutines that are ready to run would have a
// loop wait for its turn with the scheduler for most of a second.
type turns struct {
	limit      int           // immutable
	stuckAfter time.Duration // immutable

	mu      sync.Mutex
	taken   int
	given   uint64    // turns that were given back
	seen    uint64    // of them, those before the last look at it
	waiting list.List // of chan struct{}, closed when the turn has come
	look    *time.Timer
}

// newTurns leaves each loop a processor of Go's, where there are as many.
func newTurns(loops int) *turns {
	return &turns{limit: max(loops, runtime.GOMAXPROCS(0)-loops), stuckAfter: stuckAfter}
}

// take waits for a turn.
func (ts *turns) take() {
	ts.mu.Lock()
	if ts.taken < ts.limit && ts.waiting.Len() == 0 {
		ts.taken++
		ts.mu.Unlock()
		return
	}
	come := make(chan struct{})
	ts.waiting.PushBack(come)
	if ts.waiting.Len() == 1 {
		ts.lookAgain()
	}
	ts.mu.Unlock()
	<-come
}

// give gives a turn back. It does not wait.
func (ts *turns) give() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.taken--
	ts.given++
	for ts.taken < ts.limit && ts.waiting.Len() > 0 {
		ts.admitLocked()
	}
}

func (ts *turns) admitLocked() {
	ts.taken++
	close(ts.waiting.Remove(ts.waiting.Front()).(chan struct{}))
}

// lookAgain sees to those that wait while nothing moves.
func (ts *turns) lookAgain() {
	ts.seen = ts.given
	if ts.look == nil {
		ts.look = time.AfterFunc(ts.stuckAfter, ts.moveOn)
		return
	}
	ts.look.Reset(ts.stuckAfter)
}

func (ts *turns) moveOn() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.waiting.Len() == 0 {
		return
	}
	if ts.seen == ts.given {
		ts.admitLocked()
	}
	ts.lookAgain()
}
