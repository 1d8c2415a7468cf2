package load

import (
	"context"

	"github.com/fanloop-go/fanloop/loop"
)

// Silence makes the last n connections stop reading. They count as receivers
// no more.
func (g *Generator) Silence(n int) {
	from := uint32(g.cfg.First + g.cfg.Conns - n)
	g.onLoops(func(w *worker) {
		for _, c := range w.conns {
			if c.id >= from {
				c.silent = true
				c.PauseRead()
			}
		}
	})
}

// Dropped counts the silent connections that the server has ended.
func (g *Generator) Dropped() int { return int(g.dropped.Load()) }

// Storm drops all connections at once, each of which connects again at once,
// and returns when all are open.
func (g *Generator) Storm(ctx context.Context) (Opened, error) {
	if _, err := g.take(); err != nil {
		return Opened{}, err
	}
	g.allOpen.Store(newGate())
	g.back.Store(0)
	g.retries.Store(0)
	g.stormy.Store(true)
	g.reopen.Store(true)
	began := now()
	g.onLoops(func(w *worker) {
		for _, c := range w.conns {
			if c.began == began {
				continue // it was dropped on another loop, and came back to this one
			}
			c.leaving, c.began = true, began
			c.Close(loop.CloseReset)
		}
	})
	defer g.reopen.Store(false)
	defer g.stormy.Store(false)
	if err := g.awaitOpen(ctx); err != nil {
		return Opened{}, err
	}
	return g.openedSince(began)
}
