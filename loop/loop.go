package loop

import (
	"math"
	"runtime"
	"sync/atomic"
	"time"
)

const readBufferSize = 64 << 10

// apart keeps what follows it off the cache lines of what is before it, and off their
// neighbours, which some CPUs fetch along.
type apart [128]byte

// Loop is one goroutine over one poller. It owns its connections, listeners
// and timers.
//
// Its fields are in three blocks, by who writes them while the loop runs, so that no write of
// another goroutine takes a cache line away that the loop uses all the time.
type Loop struct {
	// Nobody: immutable.
	group    *Group
	index    int
	poller   poller
	accept   func(fd int) (int, error) // accept4; tests make it fail
	overload func()                    // overBudget as a value: a post allocates nothing
	budget   int64                     // of memory; 0: none

	_ apart

	// Any goroutine. The loop reads of these what it has to at each turn, which is
	// mailbox.some, and counts here when it is to be as exact as others.
	mailbox     mailbox
	ledger      ledger
	messagesOut atomic.Uint64
	bytesOut    atomic.Uint64
	alive       atomic.Bool // set by the loop for the watchdog

	_ apart

	// The loop alone. Others read few of these, and seldom.
	conns     atomic.Int64
	encrypted atomic.Int64  // connections
	public    published     // counters, as of the last turn
	goroutine atomic.Uint64 // the number of the loop's goroutine; 0: none runs

	// Owned by the loop.
	now       time.Duration // since the group started, read once per batch
	buf       []byte        // every recv of the loop lands here
	table     connTable
	listeners map[int]*acceptor
	taken     taken // of the mailbox
	wheel     wheel
	alarm     alarm
	ended     []endedConn   // closed at the end of the iteration
	closed    int           // of ended, those whose descriptors are closed
	turnBy    time.Duration // the poller ends its wait by then; 0: inside a turn
	reserve   int           // a descriptor given up when there are no others
	stopping  bool
	touched   phase         // of the last connection that was touched: a load that is used for nothing is left out
	yielded   time.Duration // when yield passed through the scheduler
	counters  Counters      // read by others through public
	fresh     [uses]int     // what HoldHere did not count yet
	call      call
	meter     meter
	waiting   line

	// cork is lent to the connection whose event is under way, and touched
	// under the mutex of that connection only.
	cork *outbox

	gather *gather     // scratch of flushes
	tls    *tlsBuffers // nil: no connection was encrypted yet

	_ apart // from the next object
}

// gather is what a flush of many buffers is assembled in.
type gather struct {
	bufs [][]byte
	vectors
}

// endedConn is a connection that ended in this iteration.
type endedConn struct {
	c        *Conn
	err      error
	reported bool // OnClose was called, or need not be
}

func newLoop(g *Group, index int) (*Loop, error) {
	p, err := newPoller(g.cfg.Backend)
	if err != nil {
		return nil, err
	}
	l := &Loop{
		group:     g,
		index:     index,
		poller:    p,
		accept:    acceptOne,
		buf:       make([]byte, readBufferSize),
		listeners: make(map[int]*acceptor),
		alarm:     alarm{at: noAlarm},
		reserve:   openReserve(),
		cork:      newCork(),
		gather:    new(gather),
		call:      call{accepted: noFD},
		meter:     meter{budget: g.cfg.IterationBudget, left: g.cfg.IterationBudget},
	}
	l.table.shared = &g.conns
	l.wheel.table = &l.table
	l.budget = int64(g.cfg.Budget)
	if g.cfg.Budget > 0 {
		l.budget = int64(max(1, g.cfg.Budget/g.cfg.Loops))
	}
	l.overload = l.overBudget
	return l, nil
}

// Index is the loop's number in its group, from 0.
func (l *Loop) Index() int { return l.index }

// Now is the time since the group started, as of the current batch of events.
// Loop only.
func (l *Loop) Now() time.Duration { return l.now }

// Clock is the time since the group started, as of this moment. Any goroutine.
func (l *Loop) Clock() time.Duration { return l.group.now() }

// Conns returns the number of the loop's open connections. Any goroutine.
func (l *Loop) Conns() int { return int(l.conns.Load()) }

// Touch brings what a write needs of c, a connection of l, into the caches of the CPU.
// Loop only.
func (l *Loop) Touch(c *Conn) { l.touched = c.phase }

// Do runs fn on the loop. Any goroutine, also the loop's own: then fn runs in
// the next iteration. The error is ErrStopped if fn will never run.
func (l *Loop) Do(fn func()) error { return l.post(mail{fn: fn}) }

// Each calls fn for every open connection of the loop. Loop only.
func (l *Loop) Each(fn func(*Conn)) { l.EachOf(0, l.table.end(), fn) }

// EachOf calls fn for those open connections of the loop that lie in n places from
// place from on. It returns where to go on, 0 after the last place. What is opened
// meanwhile may be left out. Loop only.
func (l *Loop) EachOf(from, n int, fn func(*Conn)) (next int) {
	end := l.table.end()
	to := min(end, from+n)
	for fd := l.table.next(from); fd < to; fd = l.table.next(fd + 1) {
		if c := l.table.of(fd); c.phase != ended {
			fn(c)
		}
	}
	if to == end {
		return 0
	}
	return to
}

func (l *Loop) post(m mail) error {
	first, ok := l.mailbox.put(m)
	if !ok {
		return ErrStopped
	}
	if first {
		l.poller.wake()
	}
	return nil
}

// tick implements pollHandler.
func (l *Loop) tick() time.Duration {
	l.now = l.group.now()
	return l.now
}

// ready implements pollHandler.
func (l *Loop) ready(fd int, ev interest) {
	if c := l.table.of(fd); c != nil && c.loop == l {
		l.meter.begin()
		c.ready(ev)
		return
	}
	if a := l.listeners[fd]; a != nil {
		a.accept()
	}
}

// turn implements pollHandler: mail with that of the alarm, then timers, then work that was
// put off, then the descriptors that were closed since the last turn.
func (l *Loop) turn() (wait time.Duration, stop bool) {
	l.turnBy = 0
	l.soundAlarm()
	l.readMail()
	l.ring()
	if l.stopping {
		return 0, true
	}
	l.takeTurns()
	l.closeEnded()
	l.publish()
	if len(l.ended) > 0 {
		l.poller.wakeSelf()
	}
	l.yield()
	wait = l.wait()
	l.turnBy = math.MaxInt64
	if wait >= 0 {
		l.turnBy = l.now + wait
	}
	return wait, false
}

// yieldEvery is less than the 10 ms after which the runtime takes the processor from a
// goroutine that did not pass through the scheduler, by a signal. It then looks for
// others every 20 us for a while, which costs a loop with little to do 5 % of its time.
const yieldEvery = 5 * time.Millisecond

// yield passes through the scheduler if that was long ago.
func (l *Loop) yield() {
	if l.now-l.yielded >= yieldEvery {
		l.yielded = l.now
		runtime.Gosched()
	}
}

// ring tells the connections whose time has come, but for those that an
// earlier one took it back from. A sweep that a callback broke off goes on.
func (l *Loop) ring() {
	w := &l.wheel
	if w.rung == len(w.due) {
		w.sweep(l.now)
	}
	for w.rung < len(w.due) {
		c := w.due[w.rung]
		w.due[w.rung] = nil
		w.rung++
		if c.timed == timerDue {
			c.timed = timerOff
			l.meter.begin()
			c.event((*Conn).timeout)
		}
	}
}

// turnAt sees to it that there is a turn at the moment at, also where the
// poller is about to wait without one.
func (l *Loop) turnAt(at time.Duration) {
	if at < l.turnBy {
		l.turnBy = at
		l.poller.wakeSelf()
	}
}

// readMail reads what was posted so far, after what a callback left unread that
// did not return.
func (l *Loop) readMail() {
	l.readTaken()
	l.mailbox.take(&l.taken)
	l.readTaken()
}

func (l *Loop) readTaken() {
	for m, ok := l.taken.next(); ok; m, ok = l.taken.next() {
		l.read(m)
	}
}

func (l *Loop) read(m mail) {
	l.meter.begin()
	switch {
	case m.c == nil:
		l.call.outside = true
		callFunc(m.fn)
		l.call.outside = false
	case m.fn != nil:
		m.c.do(m.fn)
	default:
		m.c.attend()
	}
}

// closeEnded closes the descriptors of connections that ended before this turn.
// OnClose may end others; they wait for the next turn.
func (l *Loop) closeEnded() {
	n := len(l.ended)
	if n == 0 {
		return
	}
	for l.closed < n {
		d := l.ended[l.closed]
		if !d.reported { // otherwise its OnClose did not return
			l.ended[l.closed].reported = true
			d.c.depart()
			if d.err != errDetached {
				d.c.over(d.err)
			}
		}
		d.c.closeDescriptor()
		l.closed++
	}
	rest := copy(l.ended, l.ended[n:])
	clear(l.ended[rest:])
	l.ended, l.closed = l.ended[:rest], 0
}

// end closes everything the loop owns. Mail that was accepted is still read. It
// is called again when a callback breaks it off.
func (l *Loop) end() {
	l.readTaken()
	l.mailbox.shut(&l.taken)
	l.readTaken()
	for fd := range l.listeners {
		l.unlisten(fd)
	}
	l.Each(func(c *Conn) { c.end(ErrStopped) })
	for len(l.ended) > 0 {
		l.closeEnded()
	}
	l.publish()
	l.release()
}

// release gives back what newLoop opened.
func (l *Loop) release() {
	closeReserve(l.reserve)
	_ = l.poller.close() // nothing is registered any more
}
