package engine_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// drivenClock is the clock of a server's loops, which moves when the test says so.
type drivenClock struct {
	srv *engine.Server
	now atomic.Int64
}

// drive gives srv, which has not started, a clock to drive.
func drive(t testing.TB, srv *engine.Server) *drivenClock {
	t.Helper()
	needs(t, promptArrival)
	c := &drivenClock{srv: srv}
	c.now.Store(int64(time.Hour))
	engine.SetClock(srv, func() time.Duration { return time.Duration(c.now.Load()) })
	return c
}

// step lets d pass, and returns when the loops have acted on it.
func (c *drivenClock) step(d time.Duration) {
	c.now.Add(int64(d))
	engine.Turn(c.srv)
}
