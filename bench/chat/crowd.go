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

// crowd has all users of a run. They share one loop, so the rooms need no lock.
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
	open    int // users with all subscriptions live
	asked   int // users who were told to connect
	pages   int
	message []byte // scratch space for send, as frame is
	frame   []byte

	all    chan struct{} // closed when every user has connected once
	failed chan struct{} // closed with the first failure
	once   sync.Once
	err    error // set before failed is closed
}

// talk is the progress of the plan. Owned by the loop.
type talk struct {
	start int64 // clock
	next  int   // in plan.events
	from  int64 // clock at which the warm-up ends: later messages are measured
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

// hostPort adds port 80 to a host without a port.
func hostPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err != nil {
		return net.JoinHostPort(host, "80")
	}
	return host
}

// perSource bounds the connections from one address, which has about 28 000 ephemeral
// ports by default.
const perSource = 10_000

// sources returns the local addresses to connect from. On the loopback network there is one
// for each perSource users; elsewhere the kernel chooses.
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

// close drops all connections and stops the loop.
func (w *crowd) close() { _ = w.group.Stop(context.Background()) } // it fails only when its context ends

// now returns the nanoseconds since the run began, plus 1: 0 stands for "never".
func (w *crowd) now() int64 { return int64(time.Since(w.origin)) + 1 }

// fail ends the run with err, unless it has failed already. Any goroutine.
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
	_ = w.loop.Do(func() { // an error means that the run has ended
		u.began = w.now()
		cfg := loop.DialConfig{Local: w.sources[int(u.n)%len(w.sources)]}
		if err := w.group.Dial(w.addr, newConn(u), cfg); err != nil {
			w.fail(err)
		}
	})
}

// dialNext connects the next user that was not told to connect yet. Loop only.
func (w *crowd) dialNext() {
	if w.asked < len(w.users) {
		w.asked++
		w.dial(&w.users[w.asked-1])
	}
}

// unopened handles a connection that ended before its opening handshake was complete. It fails
// the run, or retries once every user has connected.
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

// arrived is called when all subscriptions of a user are live.
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

// gone is called when a connection has ended, for any reason.
func (w *crowd) gone(u *user) {
	if u.in {
		u.in = false
		w.open--
	}
}

// lost handles a connection that the plan did not end. It reports whether the run goes on.
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

// act carries out the events that are due. It returns the time until the next event; 0 if none
// is left. Loop only.
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

// delivered is called for each message that a user got in order.
func (w *crowd) delivered(v *view, e *entry, at int64) {
	w.figures.deliveries++
	w.figures.last = at
	switch due := w.ledger.messages[e.number].due; {
	case due < v.since:
		w.figures.recovered++ // it was due while the user was away
	case due >= w.talk.from && w.talk.from > 0:
		w.figures.delivery.Record(at - due)
	}
}

// acked is called for the first acknowledgement of each publish.
func (w *crowd) acked(m *message, duplicate bool, at int64) {
	w.figures.acks++
	if duplicate {
		w.figures.duplicates++
	}
	if m.due >= w.talk.from {
		w.figures.ack.Record(at - m.due)
	}
}
