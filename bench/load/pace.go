package load

import (
	"context"
	"sync/atomic"
)

// pace is the schedule of a worker's open loop. Owned by the loop but for due.
type pace struct {
	run     func()
	due     atomic.Bool // run is on its way
	on      bool
	start   int64 // of message 0
	sent    uint64
	every   float64 // nanoseconds between messages
	turn    int     // whose turn it is to send
	senders []*conn
	base    uint64 // messages of the worker before the schedule
}

// shortestTick bounds how often pacers wake loops; messages that are due by
// then leave together, each with its own intended time.
const shortestTick = 50_000

// longestNap, in nanoseconds, is how soon a pacer notices that it is to end.
const longestNap = 50_000_000

// begin lays out a schedule of rate messages a second. Loop only.
func (w *worker) begin(senders []*conn, start int64, rate float64) {
	p := &w.pace
	p.on, p.start, p.sent, p.every = rate > 0, start, 0, 1e9/rate
	p.senders, p.turn, p.base = senders, 0, w.total+w.tally.Messages
}

// next is when the next message is to leave.
func (p *pace) next() int64 { return p.start + int64(float64(p.sent)*p.every) }

// maxBehind is how many seconds of messages may be under way before a rate
// counts as out of reach.
const maxBehind = 2

// longestRun is how many messages leave before the loop looks at what arrived. A
// rate out of reach has ever more due, and would keep the loop for good.
const longestRun = 1024

// paced sends what is due, each message stamped with the time at which it was to
// leave: a server that falls behind cannot slow the clock down.
func (w *worker) paced() {
	p := &w.pace
	p.due.Store(false)
	at := now()
	for last := p.sent + longestRun; p.on; {
		if p.sent == last {
			w.wakePace()
			return
		}
		due := p.next()
		if due > at {
			return
		}
		if !w.keepsUp(at - due) {
			p.on = w.gen.cfg.Tolerant
			p.start += int64(p.every) // the message is skipped
			w.tally.Skipped++
			continue
		}
		c := p.senders[p.turn]
		if p.turn++; p.turn == len(p.senders) {
			p.turn = 0
		}
		p.sent++
		w.tally.recordLate(at - due)
		if w.gen.cfg.Mode == Fanout {
			w.gen.publishers.publish(c, due)
		} else {
			c.send(kindEcho, due)
		}
	}
}

// keepsUp says whether the next message may leave. A rate that cannot be held
// fails the run; a tolerant run skips what cannot leave.
func (w *worker) keepsUp(late int64) bool {
	p, g := &w.pace, w.gen
	behind := late > maxBehind*1e9 && !g.cfg.Tolerant
	if g.cfg.Mode == Fanout {
		next := g.publishers.all[p.senders[p.turn].id]
		behind = behind || next.sent.Load()-next.done.Load() >= maxBurst
	} else {
		under := p.sent - (w.total + w.tally.Messages - p.base)
		behind = behind || float64(under) > max(1000, maxBehind*1e9/p.every)
	}
	if behind && !g.cfg.Tolerant {
		g.fail(errBehind)
	}
	return !behind
}

// wakePace has the loop send what is due. Any goroutine.
func (w *worker) wakePace() {
	if !w.pace.due.Swap(true) {
		_ = w.loop.Do(w.pace.run) // ended: nothing to send
	}
}

// runPacers wakes the loops in time for their schedules until ctx is done.
func (g *Generator) runPacers(ctx context.Context, start int64, rate float64) {
	preciseSleep()
	tick := max(int64(1e9/rate), shortestTick)
	for at := start; ; at += tick {
		for now() < at && ctx.Err() == nil {
			sleepUntil(min(at, now()+longestNap))
		}
		if ctx.Err() != nil {
			return
		}
		for _, w := range g.workers {
			w.wakePace()
		}
		if late := now() - at; late > tick {
			at += late / tick * tick
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
