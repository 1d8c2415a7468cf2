package load

import (
	"context"
	"time"
)

// Settle looks after a moment whether everything has arrived, and then less and
// less often.
const (
	soonestLook = 200 * time.Microsecond
	latestLook  = 5 * time.Millisecond
)

// Settle waits until everything sent has arrived and every handshake is over,
// published being what all processes published, and reports what did not arrive
// once, whole and in order since Start. It gives up when nothing arrives for
// Config.Deadline.
func (g *Generator) Settle(ctx context.Context, published []uint32) (Faults, error) {
	last, since := uint64(0), time.Now()
	for look := soonestLook; ; look = min(2*look, latestLook) {
		counts := make([]uint64, len(g.workers))
		g.onLoops(func(w *worker) { counts[w.loop.Index()] = w.outstanding(published) })
		left := uint64(g.shaking.Load())
		for _, n := range counts {
			left += n
		}
		if left != last {
			last, since = left, time.Now()
		}
		if left == 0 || time.Since(since) > g.cfg.Deadline {
			return g.faults(left), nil
		}
		select {
		case <-time.After(look):
		case <-g.failed:
			return g.faults(left), g.err
		case <-ctx.Done():
			return Faults{}, ctx.Err()
		}
	}
}

func (g *Generator) faults(left uint64) (f Faults) {
	each := make([]Faults, len(g.workers))
	g.onLoops(func(w *worker) { each[w.loop.Index()] = w.faults })
	for _, other := range each {
		f.Add(other)
	}
	if left > 0 {
		f.Missing += left
		f.note("%d messages had not arrived %v after the last one", left, g.cfg.Deadline)
	}
	return f
}
