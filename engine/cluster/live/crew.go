package live

import "sync"

// crew runs tasks on a few goroutines, which there are while there is work.
type crew struct {
	limit int // immutable

	mu      sync.Mutex
	queue   []task // guarded by mu, as what follows
	workers int
	ended   bool
	work    sync.WaitGroup
}

// task is something that a crew runs, in turns. It is in one queue, and not run by
// two at a time: its owner sees to that.
type task interface{ run() }

func newCrew(limit int) *crew { return &crew{limit: limit} }

// push has a task run, unless the crew is closed. It may be called with locks held.
func (c *crew) push(t task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.queue = append(c.queue, t)
	if c.workers < c.limit {
		c.workers++
		c.work.Go(c.serve)
	}
}

// serve runs tasks. If one ends the goroutine, by runtime.Goexit in a callback, another
// one takes its place.
func (c *crew) serve() {
	served := false
	defer func() {
		if !served {
			c.work.Go(c.serve)
		}
	}()
	for t := c.next(); t != nil; t = c.next() {
		t.run()
	}
	served = true
}

// next returns the next task; nil ends the worker.
func (c *crew) next() task {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.ended {
		c.queue = nil
		c.workers--
		return nil
	}
	t := c.queue[0]
	c.queue[0] = nil
	c.queue = c.queue[1:]
	return t
}

// end has nothing run but what runs already.
func (c *crew) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}
