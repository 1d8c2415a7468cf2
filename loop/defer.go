package loop

// deferral is work of a connection that waits for its turn.
type deferral struct {
	c  *Conn
	fn func(*Conn)
}

// line is the connections of a loop that wait for a turn, in order. Owned by the
// loop.
type line struct {
	all  []deferral
	head int // of those that still wait
}

func (q *line) empty() bool { return q.head == len(q.all) }
func (q *line) len() int    { return len(q.all) - q.head }

func (q *line) push(d deferral) { q.all = append(q.all, d) }

func (q *line) pushFirst(d deferral) {
	if q.head == 0 {
		q.all = append(q.all, deferral{})
		copy(q.all[1:], q.all)
		q.all[0] = d
		return
	}
	q.head--
	q.all[q.head] = d
}

func (q *line) pop() deferral {
	d := q.all[q.head]
	q.all[q.head] = deferral{}
	if q.head++; q.head >= len(q.all)/2 {
		n := copy(q.all, q.all[q.head:])
		clear(q.all[n:])
		q.all, q.head = q.all[:n], 0
	}
	return d
}

// Defer makes fn run as an event of c when those that wait for a turn already have
// had theirs, in the next iteration at the earliest. A connection that has ended by
// then has no turn. Loop only, inside an event of c that has nothing deferred.
func (c *Conn) Defer(fn func(*Conn)) {
	c.loop.waiting.push(deferral{c, fn})
	c.loop.deferred()
}

// KeepTurn is Defer with the first place, for an event that is a turn or finds
// nobody waiting: what it has begun may stay in memory, as no other connection
// begins. Otherwise it reports false and does nothing.
func (c *Conn) KeepTurn(fn func(*Conn)) bool {
	if !c.loop.first() {
		return false
	}
	c.loop.waiting.pushFirst(deferral{c, fn})
	c.loop.deferred()
	return true
}

// deferred follows whatever puts work off.
func (l *Loop) deferred() {
	l.counters.Deferred++
	l.poller.wakeSelf()
}

// takeTurns gives turns as long as the budget of the iteration lasts. Whoever waits
// again has to wait for the next iteration.
func (l *Loop) takeTurns() {
	for n := l.waiting.len(); n > 0 && l.meter.left > 0; n-- {
		d := l.waiting.pop()
		if d.c.phase == ended {
			continue
		}
		l.meter.begin()
		l.meter.taken = true
		d.c.event(d.fn)
	}
	l.meter.taken = false
	l.meter.left = l.meter.budget
	if !l.waiting.empty() {
		l.poller.wakeSelf()
	}
}
