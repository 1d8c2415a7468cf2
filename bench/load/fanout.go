package load

import "sync/atomic"

// publishers are those of a Fanout generator, and what they have under way.
type publishers struct {
	all     []*publisher
	burst   uint32
	readers []int32 // by topic; set before anything is sent
	again   atomic.Bool
}

// maxBurst is the most messages of a publisher that may be under way.
const maxBurst = 1024

// publisher is one connection that publishes.
type publisher struct {
	conn *conn
	next func()                 // sends a burst, on the connection's loop
	left [maxBurst]atomic.Int32 // receivers still to be reached, by seq
	done atomic.Uint32          // messages that reached everybody
	sent atomic.Uint32
}

// reached notes that one more receiver has message s; it is true for the last.
// Any loop.
func (ps *publishers) reached(s stamp) bool {
	if int(s.from) >= len(ps.all) {
		return false
	}
	p := ps.all[s.from]
	if p == nil || p.left[s.seq%maxBurst].Add(-1) != 0 {
		return false
	}
	if p.done.Add(1)%ps.burst == 0 && ps.again.Load() {
		_ = p.conn.Do(p.next) // ended: OnClose has told
	}
	return true
}

// publish sends one message of c to everybody on its topic. Owning loop only.
func (ps *publishers) publish(c *conn, at int64) {
	p := ps.all[c.id]
	p.left[c.sent%maxBurst].Store(ps.readers[int(c.id)%len(ps.readers)])
	p.sent.Store(c.sent + 1)
	c.send(kindPublish, at)
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
