package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// errBehind says that an open loop cannot be held; Measure adds the figures.
var errBehind = errors.New("the rate is out of reach")

// tickEvery is how often Measure reports progress.
const tickEvery = 500 * time.Millisecond

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
// Every message under way at the end is left to Settle.
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
	case g.cfg.Rate > 0 && !g.cfg.Listen && g.fellShort(seen):
		return g.rateError(seen)
	}
	return nil
}

// watch takes what was seen, tick by tick, for d.
func (g *Generator) watch(ctx context.Context, began time.Time, d time.Duration, progress func(Tick), seen func(Window)) error {
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
		if progress != nil {
			progress(Tick{Elapsed: time.Since(began), Rate: w.Rate(), P99: w.Latency.At(0.99)})
		}
	}
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

// startPacers starts the open loop; the channel is closed when it has ended.
func (g *Generator) startPacers(ctx context.Context) chan struct{} {
	start := now() + 1e6
	senders := make([][]*conn, len(g.workers))
	var total int
	g.onLoops(func(w *worker) {
		for _, c := range w.conns {
			if !c.silent && (g.cfg.Mode == Echo || int(c.id) < len(g.publishers.all)) {
				senders[w.loop.Index()] = append(senders[w.loop.Index()], c)
			}
		}
	})
	for _, s := range senders {
		total += len(s)
	}
	g.onLoops(func(w *worker) {
		mine := senders[w.loop.Index()]
		if len(mine) > 0 {
			w.begin(mine, start, g.cfg.Rate*float64(len(mine))/float64(total))
		}
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.runPacers(ctx, start, g.cfg.Rate)
	}()
	return ended
}

// countReaders counts who gets a publish, by topic.
func (g *Generator) countReaders() {
	perWorker := make([][]int32, len(g.workers))
	g.onLoops(func(w *worker) {
		counts := make([]int32, g.cfg.Topics)
		for _, c := range w.conns {
			if !c.silent {
				counts[int(c.id)%g.cfg.Topics]++
			}
		}
		perWorker[w.loop.Index()] = counts
	})
	g.publishers.readers = make([]int32, g.cfg.Topics)
	for _, counts := range perWorker {
		for topic, n := range counts {
			g.publishers.readers[topic] += n
		}
	}
}

// enrol makes publishers of the first connections, once.
func (g *Generator) enrol() {
	g.onLoops(func(w *worker) {
		for _, c := range w.conns {
			if int(c.id) >= len(g.publishers.all) || g.publishers.all[c.id] != nil {
				continue
			}
			g.publishers.all[c.id] = &publisher{conn: c, next: func() {
				at := now()
				for range g.cfg.Burst {
					g.publishers.publish(c, at)
				}
			}}
		}
	})
	g.onLoops(func(*worker) {}) // from here on every loop sees all of them
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

// Settle waits until everything sent has arrived, published being what all
// processes published, and reports what did not arrive once, whole and in
// order since Start. It gives up when nothing arrives for Config.Deadline.
func (g *Generator) Settle(ctx context.Context, published []uint32) (Faults, error) {
	last, since := uint64(0), time.Now()
	for {
		counts := make([]uint64, len(g.workers))
		g.onLoops(func(w *worker) { counts[w.loop.Index()] = w.outstanding(published) })
		var left uint64
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
		case <-time.After(5 * time.Millisecond):
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
