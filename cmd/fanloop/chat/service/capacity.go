package service

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// ErrFull: the store has little room left. Who is connected goes on reading.
var ErrFull = errors.New("service: the store is nearly full: free some of its disk, or let topics keep less")

const (
	// nearlyFull is the part of the room from which on a node gets no new connections, so
	// that an operator knows before messages are refused.
	nearlyFull   = .85
	measureEvery = 2 * time.Second
)

// capacity knows how full the store is that runs in this process.
type capacity struct {
	usage func() natsserver.Usage
	log   *slog.Logger
	now   atomic.Pointer[natsserver.Usage] // nil: not known
	full  atomic.Bool
	stop  chan struct{}
	ends  sync.Once
	done  chan struct{}
}

// newCapacity measures until close.
func newCapacity(usage func() natsserver.Usage, log *slog.Logger) *capacity {
	c := &capacity{usage: usage, log: log, stop: make(chan struct{}), done: make(chan struct{})}
	c.measure()
	go func() {
		defer close(c.done)
		tick := time.NewTicker(measureEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.measure()
			case <-c.stop:
				return
			}
		}
	}()
	return c
}

// measure notes how full the store is, and says so when that matters.
func (c *capacity) measure() {
	u := c.usage()
	c.now.Store(&u)
	full := u.Limit > 0 && float64(u.Used) >= nearlyFull*float64(u.Limit)
	switch was := c.full.Swap(full); {
	case full && !was:
		c.log.Error("the store is nearly full: messages will be refused; free some of its disk, or let topics keep less", "used_bytes", u.Used, "limit_bytes", u.Limit)
	case was && !full:
		c.log.Info("the store has room again", "used_bytes", u.Used, "limit_bytes", u.Limit)
	}
}

// close returns when nothing is measured any more.
func (c *capacity) close() {
	c.ends.Do(func() { close(c.stop) })
	<-c.done
}
