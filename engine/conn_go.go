package engine

import (
	"context"
	"fmt"
	"sync"
)

// Go runs fn on a goroutine of its own: use it for work of this connection that blocks. If fn
// panics or calls runtime.Goexit, the connection is closed with 1011, as after a callback.
// Shutdown waits until fn has returned; Close of a Server does not. Return soon after the
// connection has ended. Any goroutine.
func (ws *WebSocket) Go(fn func()) {
	e := ws.settings()
	all := ws.goroutines()
	all.begin()
	go e.guard(panicEnds, func() error {
		fn()
		return nil
	}, func(err error) {
		if err != nil {
			_ = ws.conn.Do(func() { ws.fail(StatusInternalError, "internal error", err) }) // ended: nothing to close
		}
		all.end()
	})
}

// goroutines returns those of the server; nil for a client.
func (ws *WebSocket) goroutines() *goroutines {
	if s := ws.Server(); s != nil {
		return &s.goroutines
	}
	return nil
}

// goroutines counts those that connections started by Go. Any goroutine. nil counts
// nothing.
type goroutines struct {
	mu   sync.Mutex
	n    int           // guarded by mu
	none chan struct{} // guarded by mu; closed when n is 0; nil: nothing waits for that
}

func (g *goroutines) begin() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
}

func (g *goroutines) end() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n == 0 && g.none != nil {
		close(g.none)
		g.none = nil
	}
}

// wait waits until all have returned, or ctx is done.
func (g *goroutines) wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.none == nil {
		g.none = make(chan struct{})
	}
	none := g.none
	g.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Errorf("engine: shutdown left behind %s of WebSocket.Go: %w", counted(g.n, "goroutine"), context.Cause(ctx))
}
