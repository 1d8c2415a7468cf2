package revoke

import (
	"context"
	"fmt"
	"slices"

	roster "github.com/fanloop-go/fanloop/cmd/fanloop/chat/nodes"
)

// End ends what is registered, because of a revocation. It does not block. What it returns is
// closed when that has ended, for which Revoke waits, here and on other nodes; nil: it has
// ended already.
type End func(Revocation) <-chan struct{}

// ending is what a revocation ends, until all of it has ended.
type ending struct {
	of   place
	by   Revocation
	all  []End
	over chan struct{}
}

// begin ends what concerned has found. It does not wait for it.
func (l *List) begin(e *ending) {
	if e == nil {
		return
	}
	var open []<-chan struct{}
	for _, end := range e.all {
		if ended := end(e.by); ended != nil {
			open = append(open, ended)
		}
	}
	if len(open) == 0 {
		l.over(e)
		return
	}
	go func() {
		for _, ended := range open {
			<-ended
		}
		l.over(e)
	}()
}

func (l *List) over(e *ending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := slices.DeleteFunc(l.endings[e.of], func(other *ending) bool { return other == e })
	if l.endings[e.of] = left; len(left) == 0 {
		delete(l.endings, e.of)
	}
	close(e.over)
}

// open are the endings of revocations that are under way. Each is closed when it is over.
func (l *List) open(all []*entry) (open []<-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range all {
		for _, ending := range l.endings[e.place] {
			open = append(open, ending.over)
		}
	}
	return open
}

// await returns when what e concerns on this node has ended.
func (l *List) await(ctx context.Context, e *entry) error {
	for _, over := range l.open([]*entry{e}) {
		select {
		case <-over:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnconfirmed, roster.Unconfirmed([]string{l.config.Name}))
		}
	}
	return nil
}
