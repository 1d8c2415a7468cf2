package service

import (
	"sync"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
)

// crew is a fixed number of goroutines for what waits: for the store, say.
type crew struct {
	jobs    chan func() // closed by close
	onPanic func(error) // immutable
	done    sync.WaitGroup

	mu     sync.RWMutex
	closed bool // guarded by mu
}

// newCrew returns a crew. onPanic is called for a job that panics; the others go on.
func newCrew(size, waiting int, onPanic func(error)) *crew {
	c := &crew{jobs: make(chan func(), waiting), onPanic: onPanic}
	for range size {
		c.done.Go(func() {
			for job := range c.jobs {
				if err := survive.Do(func() error { job(); return nil }); err != nil {
					c.onPanic(err)
				}
			}
		})
	}
	return c
}

// try has job done soon. It returns false, at once, if too much waits already.
func (c *crew) try(job func()) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return false
	}
	select {
	case c.jobs <- job:
		return true
	default:
		return false
	}
}

// waiting is the number of jobs that no goroutine has begun.
func (c *crew) waiting() int { return len(c.jobs) }

// close returns when all jobs are done.
func (c *crew) close() {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if !closed {
		close(c.jobs)
	}
	c.done.Wait()
}
