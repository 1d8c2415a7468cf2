package live

import (
	"sync"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// phase says what a pump or a subscriber is doing.
type phase uint8

const (
	resting phase = iota // until it is woken
	queued               // with the fast crew
	running              // on one of its goroutines
	asking               // waits for its topic's turn to ask the broker, or asks
	ahead                // a subscriber that has what the pump has not published yet
	live                 // a subscriber of the engine's topic
	ended
)

// turn is what makes a pump or a subscriber run when it is woken, and never twice at
// a time. Its mutex is taken after that of the topic.
type turn struct {
	mu    sync.Mutex
	phase phase                 // guarded by mu, as what follows
	again bool                  // woken while it runs
	sub   *cluster.Subscription // nil: to be made
}

// wake has what rests run.
func (t *turn) wake(c *crew, self task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.phase {
	case resting:
		t.phase = queued
		c.push(self)
	case running:
		t.again = true
	case queued, asking, ahead, live, ended: // is going to run, or has no reason to
	}
}

// rest ends a run: another follows if it was woken meanwhile, or goes on is set.
func (t *turn) rest(c *crew, self task, goesOn bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.phase != running:
	case t.again || goesOn:
		t.phase = queued
		c.push(self)
	default:
		t.phase = resting
	}
}

// resume has what asked the broker run.
func (t *turn) resume(c *crew, self task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase == asking {
		t.phase = queued
		c.push(self)
	}
}

// become changes the phase, unless it is ended, and reports whether it did.
func (t *turn) become(p phase) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase == ended {
		return false
	}
	t.phase = p
	return true
}

// over reports whether the phase is ended.
func (t *turn) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.phase == ended
}

// end ends everything, and returns what the phase was.
func (t *turn) end() (was phase) {
	t.mu.Lock()
	was, t.phase = t.phase, ended
	sub := t.sub
	t.sub = nil
	t.mu.Unlock()
	if sub != nil {
		sub.Close()
	}
	return was
}
