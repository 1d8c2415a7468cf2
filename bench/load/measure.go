package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errBehind says that an open loop cannot be held; Measure adds the figures.
var errBehind = errors.New("the rate is out of reach")

// tickEvery is how often Measure reports progress.
const tickEvery = 500 * time.Millisecond

// shortestTake is how often Measure looks whether the first message has arrived.
const shortestTake = 10 * time.Millisecond

// Tick is the state of a measurement under way.
type Tick struct {
	Elapsed time.Duration `json:"elapsed"` // since the warm-up began
	Rate    float64       `json:"rate"`    // messages a second since the last tick
	P99     int64         `json:"p99"`     // their latency in ns
}

// Measured is what Measure saw.
type Measured struct {
	Window
	// Published counts what each publisher has published since Start.
	Published []uint32 `json:"published,omitempty"`
}

// Measure works for warmUp and then for window, and reports the latter. progress
// may be nil. With Connect it counts handshakes, and no Open comes before it.
// Every message under way at the end is left to Settle. A window in which nothing
// arrives is longer: until something does, and Config.Deadline at most.
func (g *Generator) Measure(ctx context.Context, warmUp, window time.Duration, progress func(Tick)) (Measured, error) {
	stop, err := g.begin(ctx)
	if err != nil {
		return Measured{}, err
	}
	began := time.Now()
	var warm, seen Window
	err = g.watch(ctx, began, warmUp, progress, warm.Append)
	if err == nil {
		before := mallocs()
		err = g.watch(ctx, began, window, progress, seen.Append)
		for err == nil && seen.Messages == 0 && g.mustArrive() && seen.Seconds < g.cfg.Deadline.Seconds() {
			err = g.watch(ctx, began, shortestTake, progress, seen.Append)
		}
		seen.Allocs = mallocs() - before
	}
	published := stop()
	if err == nil {
		err = g.judge(seen)
	}
	if errors.Is(err, errBehind) {
		if rest, restErr := g.take(); restErr == nil {
			warm.Append(seen)
			warm.Append(rest)
		}
		err = g.rateError(warm)
	}
	return Measured{Window: seen, Published: published}, err
}

// judge says what makes a window worthless.
func (g *Generator) judge(seen Window) error {
	switch {
	case g.cfg.Tolerant:
		return nil
	case seen.Messages == 0:
		return fmt.Errorf("nothing arrived within %.3g s: does the server speak the bench protocol (echo; a message that begins with B goes to everybody)?", seen.Seconds)
	case g.cfg.Compression != Off && g.cfg.Mode != Connect && g.packsNothing(seen):
		return fmt.Errorf("the server agreed to compress and compressed none of %d messages of %d bytes: raise the size above its threshold", g.unpacked, g.cfg.Size)
	case g.cfg.Rate > 0 && !g.cfg.Listen && g.fellShort(seen):
		return g.rateError(seen)
	}
	return nil
}

// tries is how many messages each connection gets before a server that has compressed none
// counts as one that never does: it may leave those plain that do not shrink, and a slice may
// have no other.
const tries = 8

// packsNothing reports whether the server has compressed nothing since Start.
func (g *Generator) packsNothing(seen Window) bool {
	g.packs = g.packs || seen.Compressed > 0
	if g.packs {
		return false
	}
	g.unpacked += seen.Messages
	return g.unpacked >= tries*uint64(g.cfg.Conns)
}

// watch takes what was seen, tick by tick, for d.
func (g *Generator) watch(ctx context.Context, began time.Time, d time.Duration, progress func(Tick), seen func(Window)) error {
	var silence float64
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		select {
		case <-time.After(min(left, tickEvery)):
		case <-g.failed:
			return g.err
		case <-ctx.Done():
			return ctx.Err()
		}
		w, err := g.take()
		if err != nil {
			return err
		}
		seen(w)
		silence += w.Seconds
		if w.Messages > 0 {
			silence = 0
		}
		if silence > g.cfg.Deadline.Seconds() && g.expectsAlways() {
			return fmt.Errorf("nothing has arrived for %v: the server hangs, or its CPUs are taken", g.cfg.Deadline)
		}
		if progress != nil {
			progress(Tick{Elapsed: time.Since(began), Rate: w.Rate(), P99: w.Latency.At(0.99)})
		}
	}
}

// expectsAlways says that there is no innocent reason for silence.
func (g *Generator) expectsAlways() bool { return g.mustArrive() && !g.cfg.Listen }

// mustArrive says that something has to arrive within a Deadline.
func (g *Generator) mustArrive() bool {
	return !g.cfg.Tolerant && (g.cfg.Rate == 0 || g.cfg.Rate*g.cfg.Deadline.Seconds() > 2)
}

// begin sets the connections to work. stop ends that and says how much was
// published.
func (g *Generator) begin(ctx context.Context) (stop func() []uint32, err error) {
	if _, err := g.take(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	paced := make(chan struct{})
	close(paced)
	switch {
	case g.cfg.Mode == Connect:
		g.next.Store(0)
		g.reopen.Store(true)
		g.shaking.Add(int64(g.cfg.Conns))
		for range g.cfg.Conns {
			g.dialNext()
		}
	case g.cfg.Mode == Fanout:
		g.countReaders()
		if !g.cfg.Listen {
			g.enrol()
		}
	}
	switch {
	case g.cfg.Listen || g.cfg.Mode == Connect:
	case g.cfg.Rate > 0:
		paced = g.startPacers(ctx)
	case g.cfg.Mode == Fanout:
		g.publishers.again.Store(true)
		for _, p := range g.publishers.all {
			_ = p.conn.Do(p.next) // ended: OnClose has told
		}
	default:
		g.onLoops((*worker).sendFirst)
	}
	return func() []uint32 {
		cancel()
		<-paced
		return g.halt()
	}, nil
}

// sendFirst starts the closed loop of Echo.
func (w *worker) sendFirst() {
	w.sending = true
	for _, c := range w.conns {
		for range w.gen.cfg.InFlight {
			c.send(kindEcho, now())
		}
	}
}

// halt stops sending.
func (g *Generator) halt() (published []uint32) {
	g.reopen.Store(false)
	g.publishers.again.Store(false)
	g.onLoops(func(w *worker) { w.sending, w.pace.on = false, false })
	for _, p := range g.publishers.all {
		published = append(published, p.sent.Load())
	}
	return published
}

// rateReached is the part of a rate that counts as having reached it, and
// rateSlack how much, in seconds, may still be on its way at the end.
const (
	rateReached = 0.95
	rateSlack   = 0.1
)

// fellShort says whether fewer answers came than were asked for.
func (g *Generator) fellShort(w Window) bool {
	asked := g.cfg.Rate * w.Seconds
	least := min(rateReached*asked, asked-rateSlack*g.cfg.Rate)
	if g.cfg.Mode == Fanout {
		return float64(w.Last.Count()) < least-float64(g.cfg.Publishers)
	}
	return float64(w.Messages) < least-float64(g.cfg.Conns)
}

func (g *Generator) rateError(w Window) error {
	answered := float64(w.Messages)
	if g.cfg.Mode == Fanout {
		answered = float64(w.Last.Count())
	}
	s := max(w.Seconds, 1e-9)
	return &RateError{Asked: g.cfg.Rate, Sent: float64(w.Sent) / s, Answered: answered / s,
		ClientShare: w.ClientMicros / 1e6 / s, ServerShare: w.ServerMicros / 1e6 / s}
}
