package loop

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Accept makes the handler of a connection that a listener took in, on the
// loop that will own it. nil refuses the connection: it is reset.
type Accept func(l *Loop) Handler

// ListenConfig says how a listener takes connections in.
type ListenConfig struct {
	// Accept is called for each connection.
	Accept Accept
	// Policy is the write policy of its connections; nil means no bounds.
	Policy *WritePolicy
	// DeferAccept leaves a connection with the kernel until its peer has sent
	// something, or for some seconds. It counts for TCP on Linux.
	DeferAccept bool
}

// acceptsPerEvent bounds how many connections one event takes in, so that
// established ones get their turn.
const acceptsPerEvent = 64

// After a failure that waiting may cure, accepting pauses this long, doubling
// up to the maximum.
const (
	retryMin = 10 * time.Millisecond
	retryMax = time.Second
)

// Listener takes in connections on the loops of a group.
type Listener struct {
	group     *Group
	addr      net.Addr
	acceptors []*acceptor
	closed    atomic.Bool
}

// acceptor is the part of a Listener that one loop owns.
type acceptor struct {
	// Immutable.
	loop   *Loop
	fd     int
	cfg    ListenConfig
	spread bool // the only descriptor of its listener: serves all loops

	// Owned by the loop.
	retry time.Duration // of the pause under way; 0: accepting
	timer *time.Timer
}

// Listen opens the tcp address addr ("host:port") with one listening
// descriptor per loop (SO_REUSEPORT), on the portable backend with one for all. A
// port that is listened on already is an error. Any goroutine.
func (g *Group) Listen(addr string, cfg ListenConfig) (*Listener, error) {
	ln := &Listener{group: g}
	if err := ln.open(addr, cfg); err != nil {
		ln.abandon()
		return nil, fmt.Errorf("loop: listen on %s: %w", addr, err)
	}
	return ln.register()
}

// Serve takes in connections of a listener that was opened elsewhere: its
// descriptor is duplicated and nl is closed. One loop accepts for all. nl must
// give access to its descriptor (*net.TCPListener, *net.UnixListener).
func (g *Group) Serve(nl net.Listener, cfg ListenConfig) (*Listener, error) {
	fd, err := duplicate(nl)
	if err != nil {
		return nil, fmt.Errorf("loop: serve %T: %w", nl, err)
	}
	addr := nl.Addr()
	if u, ok := nl.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // the path lives on with the duplicate
	}
	disown(nl)
	inheritNoDelay(fd)
	ln := &Listener{group: g, addr: addr}
	ln.acceptors = []*acceptor{{loop: g.pick(), fd: fd, cfg: cfg, spread: true}}
	return ln.register()
}

// Addr is the address listened on.
func (ln *Listener) Addr() net.Addr { return ln.addr }

// Close stops accepting; established connections go on. It returns when no
// loop accepts any more. Any goroutine; in a callback of the group it does nothing
// and returns ErrInCallback.
func (ln *Listener) Close() error {
	if ln.group.InCallback() {
		return ErrInCallback
	}
	if ln.closed.Swap(true) {
		return nil
	}
	for _, a := range ln.acceptors {
		done := make(chan struct{})
		if a.loop.Do(func() { a.loop.unlisten(a.fd); close(done) }) == nil {
			<-done
		}
	}
	return nil
}

func (ln *Listener) register() (*Listener, error) {
	for i, a := range ln.acceptors {
		if a.cfg.DeferAccept {
			deferAccept(a.fd)
		}
		if err := a.loop.Do(a.start); err != nil {
			for _, rest := range ln.acceptors[i:] {
				closeFD(rest.fd)
			}
			return nil, err
		}
	}
	return ln, nil
}

// abandon closes descriptors that no loop has seen yet.
func (ln *Listener) abandon() {
	for _, a := range ln.acceptors {
		closeFD(a.fd)
	}
}

func (a *acceptor) start() {
	a.loop.listeners[a.fd] = a
	if err := a.loop.poller.add(a.fd, readable); err != nil {
		a.loop.group.accepts.Log(a.loop.group.cfg.Logger, slog.LevelError, "loop: cannot poll a listener", slog.Any("err", err))
	}
}

// unlisten closes the listening descriptor fd. Loop only.
func (l *Loop) unlisten(fd int) {
	a := l.listeners[fd]
	if a == nil {
		return
	}
	delete(l.listeners, fd)
	if a.timer != nil {
		a.timer.Stop()
	}
	_ = l.poller.del(fd, a.want()) // a duplicate may keep it registered
	closeFD(fd)
}

// want is what the descriptor waits for.
func (a *acceptor) want() interest {
	if a.retry != 0 {
		return 0
	}
	return readable
}

// accept takes in what waits.
func (a *acceptor) accept() {
	if a.retry != 0 { // an event from before the pause
		return
	}
	for range acceptsPerEvent {
		fd, err := a.loop.accept(a.fd)
		switch {
		case err == nil:
			a.hand(fd)
		case err == syscall.EAGAIN:
			return
		case ofOneClient(err):
		default:
			a.pause(err)
			return
		}
	}
	if edgeTriggered {
		_ = a.loop.poller.mod(a.fd, readable, readable) // it was added like this
	}
}

// hand gives fd to its loop.
func (a *acceptor) hand(fd int) {
	if !a.spread {
		a.open(a.loop, fd)
		return
	}
	l := a.loop.group.pick()
	if l == a.loop {
		a.open(l, fd)
		return
	}
	if l.Do(func() { a.open(l, fd) }) != nil {
		closeFD(fd) // stopped meanwhile
	}
}

func (a *acceptor) open(l *Loop, fd int) {
	l.call.outside, l.call.accepted = true, fd
	h := a.callAccept(l)
	l.call.outside, l.call.accepted = false, noFD
	if h == nil {
		resetOnClose(fd)
		closeFD(fd)
		return
	}
	c := h.LoopConn()
	c.bind(l, h, a.cfg.Policy)
	c.open(fd, open, 0)
}

// pause stops accepting for a while: descriptors or memory ran out, and a
// level-triggered listener would be reported for ever.
func (a *acceptor) pause(err error) {
	a.refuseOne(err)
	a.retry = min(max(2*a.retry, retryMin), retryMax)
	a.log(err)
	if a.timer == nil {
		if err := a.loop.poller.mod(a.fd, readable, 0); err != nil {
			a.loop.group.accepts.Log(a.loop.group.cfg.Logger, slog.LevelError, "loop: cannot pause a listener", slog.Any("err", err))
		}
		a.timer = time.AfterFunc(a.retry, func() { _ = a.loop.Do(a.resume) })
		return
	}
	a.timer.Reset(a.retry)
}

// refuseOne spends the reserve descriptor to close one waiting connection, so
// that it learns at once.
func (a *acceptor) refuseOne(err error) {
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) || a.loop.reserve < 0 {
		return
	}
	closeReserve(a.loop.reserve)
	if fd, err := a.loop.accept(a.fd); err == nil {
		closeFD(fd)
		a.loop.group.refused.Add(1)
	}
	a.loop.reserve = openReserve()
}

func (a *acceptor) log(err error) {
	g := a.loop.group
	g.accepts.Log(g.cfg.Logger, slog.LevelWarn,
		"loop: accepting is paused; raise the descriptor limit or lower the connection limit",
		slog.Any("err", err), slog.Uint64("refused", g.refused.Load()), slog.Duration("retry", a.retry))
}

// resume tries again after a pause.
func (a *acceptor) resume() {
	if a.loop.listeners[a.fd] != a {
		return
	}
	if a.loop.reserve < 0 {
		a.loop.reserve = openReserve()
	}
	fd, err := a.loop.accept(a.fd)
	switch {
	case err == nil:
		a.hand(fd)
	case err == syscall.EAGAIN, ofOneClient(err):
	default:
		a.pause(err)
		return
	}
	a.retry, a.timer = 0, nil
	if err := a.loop.poller.mod(a.fd, 0, readable); err != nil {
		a.pause(err)
	}
}

// ofOneClient says that accepting failed for one client, and may go on.
func ofOneClient(err error) bool {
	switch err {
	case syscall.EINTR, syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM:
		return true
	}
	return false
}
