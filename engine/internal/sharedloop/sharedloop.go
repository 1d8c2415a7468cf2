// Package sharedloop keeps one loop that runs while it is in use.
package sharedloop

import (
	"context"
	"log/slog"
	"sync"

	"github.com/fanloop-go/fanloop/loop"
)

// Loop is a group of one loop. The zero value does not run. Any goroutine.
type Loop struct {
	mu    sync.Mutex
	group *loop.Group
	users int
}

// Acquire returns the group, started if it is not in use. Give it back by Release.
// log is that of a group which is started.
func (l *Loop) Acquire(log *slog.Logger) (*loop.Group, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.group == nil {
		group, err := loop.Start(loop.Config{Loops: 1, Logger: log})
		if err != nil {
			return nil, err
		}
		l.group = group
	}
	l.users++
	return l.group, nil
}

// Release gives the group back; the last user stops it. It does not wait, so
// callbacks may call it.
func (l *Loop) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users > 0 {
		return
	}
	group := l.group
	l.group = nil
	go func() { _ = group.Stop(context.Background()) }() // without a deadline it cannot fail
}
