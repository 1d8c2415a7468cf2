package engine

import (
	"sync"

	"github.com/fanloop-go/fanloop/loop"
)

// upgradeCalls counts the calls of ShouldUpgrade on goroutines that are no loops. The
// end of the server waits for them. Any goroutine. The zero value is ready.
type upgradeCalls struct {
	mu      sync.Mutex
	running map[uint64]int // calls by goroutine, since one may be inside another; guarded by mu
	closed  bool           // no call begins any more; guarded by mu
	working sync.WaitGroup // grows under mu, and not once closed
}

// run runs fn as a call. errShuttingDown: the server is ending, and fn was not run.
func (c *upgradeCalls) run(fn func() error) error {
	id := loop.GoroutineID()
	if !c.begin(id) {
		return errShuttingDown
	}
	defer c.end(id) // fn may not return
	return fn()
}

func (c *upgradeCalls) begin(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.running == nil {
		c.running = make(map[uint64]int)
	}
	c.running[id]++
	c.working.Add(1)
	return true
}

func (c *upgradeCalls) end(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[id]--; c.running[id] == 0 {
		delete(c.running, id)
	}
	c.working.Done()
}

// close lets no further call begin.
func (c *upgradeCalls) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// wait closes c and returns when all calls have returned.
func (c *upgradeCalls) wait() {
	c.close()
	c.working.Wait()
}

// inCallback reports whether the caller is in a call.
func (c *upgradeCalls) inCallback() bool {
	return loop.OnBehalf(func(goroutine uint64) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.running[goroutine] > 0
	})
}
