package load

import (
	"bytes"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// worker is what the connections of one loop share. All of it is owned by that
// loop, but for the fields said otherwise.
type worker struct {
	gen       *Generator
	loop      *loop.Loop
	templates templates
	inflater  *inflater // nil without compression
	conns     []*conn   // open ones

	tally  *tally // since the last take
	total  uint64 // messages before that
	faults Faults

	sending bool // answer an echo by the next message
	pace    pace

	swap  func()        // gives tally away for spare
	spare *tally        // the generator's while the loop does not swap
	ready chan struct{} // told after swap
}

func newWorker(g *Generator, l *loop.Loop) *worker {
	w := &worker{gen: g, loop: l, tally: newTally(), spare: newTally(), ready: make(chan struct{}, 1)}
	w.pace.run = w.paced
	w.templates = newTemplates(&g.cfg, codec.MaxWindowBits)
	if g.cfg.Compression != Off {
		w.inflater = newInflater(&g.cfg)
	}
	w.swap = func() {
		w.total += w.tally.Messages
		w.tally.until(w)
		w.tally, w.spare = w.spare, w.tally
		w.tally.reset()
		w.tally.from(w.spare)
		w.ready <- struct{}{}
	}
	return w
}

func (w *worker) add(c *conn) {
	c.place = len(w.conns)
	w.conns = append(w.conns, c)
}

func (w *worker) remove(c *conn) {
	if c.place < 0 {
		return
	}
	last := len(w.conns) - 1
	w.conns[c.place] = w.conns[last]
	w.conns[c.place].place = c.place
	w.conns[last] = nil
	w.conns = w.conns[:last]
}

// message is the arrival of the message of ev at c.
func (w *worker) message(c *conn, ev codec.Event, at int64) {
	if c.greeting > 0 {
		w.greeted(c, ev)
		return
	}
	p := ev.Payload
	w.tally.wire += uint64(len(p))
	if ev.Compressed {
		w.tally.compressed++
		var err error
		if p, err = w.inflater.inflate(c, p); err != nil {
			w.corrupt(c, "cannot be inflated: %v", err)
			return
		}
	}
	if len(p) != w.gen.cfg.Size {
		w.corrupt(c, "has %d bytes, not %d", len(p), w.gen.cfg.Size)
		return
	}
	s, size, ok := w.templates.read(p)
	if !ok {
		w.corrupt(c, "has a damaged stamp")
		return
	}
	if !bytes.Equal(p[size:], w.templates.of(s).want[size:]) {
		w.corrupt(c, "has a damaged payload")
		return
	}
	if (ev.OpCode == codec.Text) != w.templates.text {
		w.corrupt(c, "came back as %v", ev.OpCode)
		return
	}
	switch {
	case s.kind == kindEcho && s.from == c.id:
		w.echoed(c, s, at)
	case s.kind == kindPublish && int(s.from) < len(c.from) && c.sharesTopic(s.from):
		w.delivered(c, s, at)
	default:
		w.corrupt(c, "is of kind %q from connection %d, which belongs elsewhere", s.kind, s.from)
	}
}

// greeted is the arrival of a message of the server's greeting. What it leaves in
// the window of the inflater, later messages refer to.
func (w *worker) greeted(c *conn, ev codec.Event) {
	c.greeting--
	if !ev.Compressed {
		return
	}
	if _, err := w.inflater.inflate(c, ev.Payload); err != nil {
		w.corrupt(c, "cannot be inflated: %v", err)
	}
}

func (w *worker) corrupt(c *conn, format string, args ...any) {
	w.faults.Corrupt++
	w.faults.note("connection %d: message "+format, append([]any{c.id}, args...)...)
}

// echoed is the return of a message of c.
func (w *worker) echoed(c *conn, s stamp, at int64) {
	c.back.see(s.seq, &w.faults, c.id, c.id)
	w.tally.record(at, s.since(at))
	if w.sending {
		c.send(kindEcho, at)
	}
}

// delivered is the arrival of a publish at c.
func (w *worker) delivered(c *conn, s stamp, at int64) {
	c.from[s.from].see(s.seq, &w.faults, c.id, s.from)
	w.tally.record(at, s.since(at))
	if w.gen.publishers.reached(s) {
		w.tally.recordLast(s.since(at))
	}
}

// collect has the loop hand over what it counted; nil when it has ended.
func (w *worker) collect() *tally {
	if w.loop.Do(w.swap) != nil {
		return nil
	}
	select {
	case <-w.ready:
		return w.spare
	case <-w.gen.group.Done():
		return nil
	}
}

// outstanding counts the messages that have not arrived. Loop only.
func (w *worker) outstanding(expect []uint32) (n uint64) {
	g := w.gen
	for _, c := range w.conns {
		if c.silent {
			continue
		}
		if g.cfg.Mode == Echo {
			n += uint64(c.sent - c.back.next)
			continue
		}
		for p, published := range expect {
			if p%g.cfg.Topics == int(c.id)%g.cfg.Topics {
				n += uint64(published - c.from[p].next)
			}
		}
	}
	return n
}
