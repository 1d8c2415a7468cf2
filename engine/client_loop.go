package engine

import (
	"context"
	"log/slog"
	"sync"

	"github.com/fanloop-go/fanloop/loop"
)

// clients is the group of dialed connections that name none.
var clients sharedGroup

// sharedGroup is one loop that runs while somebody uses it.
type sharedGroup struct {
	mu    sync.Mutex
	group *loop.Group
	users int
}

// acquire returns the group, to be given back by release.
func (g *sharedGroup) acquire(log *slog.Logger) (*loop.Group, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.group == nil {
		group, err := loop.Start(loop.Config{Loops: 1, Logger: log})
		if err != nil {
			return nil, err
		}
		g.group = group
	}
	g.users++
	return g.group, nil
}

// release gives the group back. It does not wait, so loops may call it.
func (g *sharedGroup) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.users--; g.users > 0 {
		return
	}
	group := g.group
	g.group = nil
	go func() { _ = group.Stop(context.Background()) }() // without a deadline it cannot fail
}
