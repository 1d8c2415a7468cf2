package live

import (
	"maps"
	"slices"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// sweep closes connections that are not up to date in time, and looks again at those
// that wait for their queue: what fills it may not be what OnDrain is called for.
func (t *Topics) sweep() {
	tick := time.NewTicker(min(time.Second, t.config.Within/4))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			return
		}
		t.sweepAt(time.Now())
	}
}

func (t *Topics) sweepAt(now time.Time) {
	for _, s := range t.lagging() {
		if !s.lags(now, t.config.Within) {
			s.wake()
			continue
		}
		t.lagged.Add(1)
		t.quit(s, ErrLagging)
		_ = s.ws.Fail(engine.StatusTryAgainLater, "too slow", errTooSlow) // a code that may be sent
	}
}

// lagging returns the subscribers that are not live.
func (t *Topics) lagging() []*subscriber {
	t.counting.Lock()
	defer t.counting.Unlock()
	return slices.Collect(maps.Keys(t.lag))
}

// joins counts s among those who are live.
func (t *Topics) joins(s *subscriber) {
	t.counting.Lock()
	defer t.counting.Unlock()
	t.live++
	delete(t.lag, s)
}

// falls counts s among those who catch up; was: it was live.
func (t *Topics) falls(s *subscriber, was bool) {
	t.counting.Lock()
	defer t.counting.Unlock()
	if was {
		t.live--
	}
	t.lag[s] = true
}

// leaves counts s no more; was: it was live.
func (t *Topics) leaves(s *subscriber, was bool) {
	t.counting.Lock()
	defer t.counting.Unlock()
	if was {
		t.live--
	}
	delete(t.lag, s)
}
