package load

import (
	"context"
	"time"
)

// Work has the connections work for d and stops them. What is under way then is
// left to Settle; what arrived, to Seen. It returns what each publisher has
// published since Start. With Connect it counts handshakes, and no Open comes
// before it.
func (g *Generator) Work(ctx context.Context, d time.Duration) (published []uint32, err error) {
	g.allocated = mallocs()
	stop, err := g.begin(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(d):
	case <-g.failed:
		err = g.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	return stop(), err
}

// Seen reports what arrived since the last Work began; Seconds end with the last
// arrival. It fails where Measure would.
func (g *Generator) Seen() (Window, error) {
	w, err := g.take()
	if err != nil {
		return w, err
	}
	w.Seconds, w.Allocs = w.active, mallocs()-g.allocated
	return w, g.judge(w)
}
