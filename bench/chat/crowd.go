package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// crowd is all users of a run, on one loop: rooms are shared, and nothing is locked.
type crowd struct {
	// Immutable after newCrowd.
	config    Config
	encoding  protocol.Encoding
	host, uri string
	addr      *net.TCPAddr
	sources   []net.Addr
	reader    codec.ReaderConfig
	group     *loop.Group
	loop      *loop.Loop
	origin    time.Time
	plan      *plan

	// Owned by the loop.
	ledger  ledger
	users   []user
	figures figures
	talk    talk
	open    int // users whose subscriptions stand
	asked   int // users whose connection was asked for
	pages   int
	message []byte // of one message, while it is made
	frame   []byte

	all    chan struct{} // closed when everybody is there for the first time
	failed chan struct{} // closed with the first failure
	once   sync.Once
	err    error // valid after failed
}

// talk is the part of the plan that is under way. Owned by the loop.
type talk struct {
	start int64 // clock
	next  int   // in plan.events
	from  int64 // clock from which messages are measured
}

func newCrowd(ctx context.Context, c Config, run string) (*crowd, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	u, err := c.target()
	if err != nil {
		return nil, err
	}
	if err := load.RaiseFileLimit(c.Users); err != nil {
		return nil, err
	}
	w := &crowd{
		config: c, encoding: c.encoding(), host: u.Host, uri: u.RequestURI(), origin: time.Now(), plan: newPlan(c),
		reader: codec.ReaderConfig{Role: codec.Client, MaxMessage: -1},
		users:  make([]user, c.Users), all: make(chan struct{}), failed: make(chan struct{}),
	}
	if w.addr, err = net.ResolveTCPAddr("tcp", hostPort(u.Host)); err != nil {
		return nil, fmt.Errorf("cannot find the host of %s; check its name: %w", c.URL, err)
	}
	w.sources = sources(w.addr, c.Users)
	w.ledger = *newLedger(run, c, w.plan)
	for i := range w.users {
		u := &w.users[i]
		u.crowd, u.n = w, int32(i)
		for _, room := range w.plan.rooms[i] {
			u.views = append(u.views, view{room: &w.ledger.rooms[room]})
		}
	}
	w.group, err = loop.Start(loop.Config{Loops: 1, BlockedAfter: -1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, err
	}
	w.loop = w.group.Loops()[0]
	return w, ctx.Err()
}

// hostPort adds the port of ws to a host that has none.
func hostPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err != nil {
		return net.JoinHostPort(host, "80")
	}
	return host
}

// perSource stays below the number of ephemeral ports of one address.
const perSource = 10_000

// sources are addresses to connect from: several only on the loopback network.
func sources(to *net.TCPAddr, users int) []net.Addr {
	if ip := to.IP.To4(); ip == nil || !ip.IsLoopback() {
		return []net.Addr{nil}
	}
	var all []net.Addr
	at := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	for n := 0; n <= users; n += perSource {
		all = append(all, &net.TCPAddr{IP: at.AsSlice()})
		at = at.Next()
	}
	return all
}

// close drops all connections and ends the loop.
func (w *crowd) close() { _ = w.group.Stop(context.Background()) } // without a deadline it cannot fail

// now is the clock of a run, in nanoseconds, and never 0.
func (w *crowd) now() int64 { return int64(time.Since(w.origin)) + 1 }

// fail ends the run with its first failure. Any goroutine.
func (w *crowd) fail(err error) {
	w.once.Do(func() {
		w.err = err
		close(w.failed)
	})
}

// do runs fn on the loop and waits for it.
func (w *crowd) do(fn func()) error {
	done := make(chan struct{})
	if err := w.loop.Do(func() { defer close(done); fn() }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-w.group.Done():
		return loop.ErrStopped
	}
}

// dial connects a user. Any goroutine.
func (w *crowd) dial(u *user) {
	_ = w.loop.Do(func() { // ended: nobody waits
		u.began = w.now()
		cfg := loop.DialConfig{Local: w.sources[int(u.n)%len(w.sources)]}
		if err := w.group.Dial(w.addr, newConn(u), cfg); err != nil {
			w.fail(err)
		}
	})
}

// dialNext connects the next user who was never there. Loop only.
func (w *crowd) dialNext() {
	if w.asked < len(w.users) {
		w.asked++
		w.dial(&w.users[w.asked-1])
	}
}

// unopened is the end of a connection before its handshake was over.
func (w *crowd) unopened(u *user, err error) {
	select {
	case <-w.all:
		w.figures.note("connecting: %v", err)
		w.figures.retries++
		time.AfterFunc(100*time.Millisecond, func() { w.dial(u) })
		return
	default:
	}
	switch {
	case err == nil:
		err = errHungUp
	case errors.Is(err, syscall.ECONNREFUSED):
		err = fmt.Errorf("nothing listens on %s: start the service (fanloop chat), or correct --url: %w", w.addr, err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		err = fmt.Errorf("no descriptors are left: raise the limit (ulimit -n), or use fewer users: %w", err)
	}
	w.fail(fmt.Errorf("user %d cannot connect: %w", u.n, err))
}

// arrived is called when all subscriptions of a user stand.
func (w *crowd) arrived(u *user, at int64) {
	if u.in {
		return
	}
	u.in = true
	w.open++
	if u.conn.back {
		w.figures.resumed.Record(at - u.began)
		return
	}
	w.figures.connected.Record(at - u.began)
	w.dialNext()
	if w.open == len(w.users) {
		close(w.all)
	}
}

// gone is called when a connection ends, for whatever reason.
func (w *crowd) gone(u *user) {
	if u.in {
		u.in = false
		w.open--
	}
}

// lost is the end of a connection that was to stay. false: the run has failed.
func (w *crowd) lost(u *user, err error) bool {
	reason := u.reason
	if reason == "" {
		reason = fmt.Sprint(err)
	}
	u.reason = ""
	select {
	case <-w.all:
		w.figures.ended++
		w.figures.note("user %d lost its connection: %s", u.n, reason)
		return true
	default:
		w.fail(fmt.Errorf("the service closed the connection of user %d before everybody was there: %s; look at its log and limits", u.n, reason))
		return false
	}
}

// begin starts the plan. Loop only.
func (w *crowd) begin() {
	w.talk.start = w.now()
	w.talk.from = w.talk.start + int64(w.config.WarmUp)
}

// act does what is due, and returns in what time something else is; 0: nothing is left.
// Loop only.
func (w *crowd) act() time.Duration {
	at := w.now()
	for ; w.talk.next < len(w.plan.events); w.talk.next++ {
		e := &w.plan.events[w.talk.next]
		due := w.talk.start + int64(e.at)
		if due > at {
			return time.Duration(due - at)
		}
		u := &w.users[e.user]
		switch e.kind {
		case publish:
			if u.here() {
				w.ledger.messages[e.n].due = due
				w.figures.late.Record(at - due)
			}
			u.publish(e.n)
		case cut:
			u.cut(e.away)
		case read:
			u.read(e.n)
		}
	}
	return 0
}

// delivered is called for each message that a user got in its turn.
func (w *crowd) delivered(v *view, e *entry, at int64) {
	w.figures.deliveries++
	w.figures.last = at
	switch due := w.ledger.messages[e.number].due; {
	case due < v.since:
		w.figures.recovered++ // the user was away
	case due >= w.talk.from && w.talk.from > 0:
		w.figures.delivery.Record(at - due)
	}
}

// acked is called for each publish that is stored.
func (w *crowd) acked(m *message, duplicate bool, at int64) {
	w.figures.acks++
	if duplicate {
		w.figures.duplicates++
	}
	if m.due >= w.talk.from {
		w.figures.ack.Record(at - m.due)
	}
}
