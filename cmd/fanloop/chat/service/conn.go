package service

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/limits"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
	"github.com/fanloop-go/fanloop/engine"
)

// maxHeld is what a connection may be owed, in bytes, that the engine does not take.
const maxHeld = 256 << 10

// conn is a WebSocket with its session.
type conn struct {
	// Immutable.
	service  *Service
	ws       *engine.WebSocket
	encoding protocol.Encoding
	remote   netip.Addr // of the client; invalid: it has none
	backend  backend

	// Owned by the loop.
	session *session.Session
	batch   []byte // frames that were not sent yet
	held    bool   // the engine did not take the batch; reading is paused
	opening int32  // subscribes that did not count for the rate of the user
	opened  int32  // bytes of answers to subscribes, up to freeAnswers
	timer   *time.Timer
	due     int64 // when timer fires, in Unix nanoseconds; 0: not armed

	passive map[string]*delivery // passive subscriptions, by topic; nil: there were none

	from       *origin              // nil: nobody is asked about it any more
	login      string               // the session that the token names; empty: none, or not connected yet
	revocation *revoke.Registration // nil: not connected yet
	address    *limits.Place[netip.Prefix]
	place      *limits.Place[string] // of the user; nil: not connected yet
	over       error                 // why the commands of this message are not admitted

	// Written on the loop, and under registry.mu once others find c there. Others read
	// them under registry.mu.
	user, name string // name: the part of that of the session that its connections share

	next *conn // of the user; guarded by registry.mu

	mu         sync.Mutex
	deliveries *delivery // those that were started and not stopped; guarded by mu
}

// origin is where a connection comes from. It is immutable.
type origin struct {
	remote net.Addr
	host   string
	header http.Header
}

// opened begins the session of a WebSocket.
func (s *Service) opened(ws *engine.WebSocket, req *engine.Request) {
	encoding, _ := protocol.EncodingOf(ws.Subprotocol())
	c := &conn{service: s, ws: ws, encoding: encoding, remote: s.proxies.Client(addrOf(ws.RemoteAddr()), req.Values)}
	if s.accounts.develop != nil {
		c.from = originOf(ws, req)
	}
	c.backend = backend{service: s, conn: c}
	c.session = session.New(&s.session, &c.backend, c)
	engine.Set(ws, c)
	c.happened("opened", nil)
	c.turn(c.arrive)
}

// originOf is where a WebSocket comes from.
func originOf(ws *engine.WebSocket, req *engine.Request) *origin {
	from := &origin{remote: ws.RemoteAddr(), host: req.Host(), header: http.Header{}}
	for _, name := range proxies.Names {
		if value := req.Header(name); value != "" {
			from.header.Set(name, value)
		}
	}
	return from
}

// arrive takes a place of the address, or closes.
func (c *conn) arrive() {
	place, err := c.service.addresses.Connect(limits.Network(c.remote))
	if err != nil {
		last := closing(protocol.RateLimited)
		if limit, is := errors.AsType[*limits.Error](err); is {
			last.Delay = max(last.Delay, limited(limit).Delay)
		}
		c.session.CloseWith(protocol.RateLimited.Close(), last)
		return
	}
	c.address = place
}

// tolerated is how many times limits.message a message of a user may have: it is answered by
// too_large. Of who has not connected, a larger one than limits.message ends the connection,
// since what came of a message counts for no limit before all of it is there.
const tolerated = 32

// enter takes a place of the user, and is ended by a revocation from now on.
func (c *conn) enter(claims *auth.Claims) (err error) {
	if c.place, err = c.service.users.Connect(claims.User); err != nil {
		return err
	}
	c.user, c.login, c.from = claims.User, claims.Session, nil
	c.revocation, err = c.service.accounts.revoked.Register(revocable(claims), func(revoke.Revocation) <-chan struct{} {
		return c.ending("", func() { c.session.Close(protocol.Revoked, "") })
	})
	if err == nil {
		_ = c.ws.SetLimits(engine.Limits{MaxMessage: tolerated * int64(c.service.session.Limits.Message)}) // it has ended otherwise
	}
	return err
}

// leave gives back what arrive and enter took.
func (c *conn) leave() {
	if c.revocation != nil {
		c.revocation.Close()
	}
	if c.place != nil {
		c.place.Leave()
	}
	if c.address != nil {
		c.address.Leave()
	}
}

// addrOf is the IP of an address; invalid: it has none.
func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// received carries out what the client sent.
func received(ws *engine.WebSocket, message []byte) {
	if c := engine.Get[*conn](ws); c != nil && !c.service.late() {
		c.turn(func() {
			c.charge(message)
			c.session.Receive(c.encoding, message)
		})
	}
}

// charge takes the bytes of what came. If they are too many, what is in it is refused.
func (c *conn) charge(came []byte) {
	bytes := float64(len(came))
	c.over = nil
	if c.place != nil {
		c.over = c.place.Allow(0, bytes)
	}
	if c.address != nil {
		c.over = cmp.Or(c.address.Allow(0, bytes), c.over)
	}
}

// turn runs fn on the loop, sends what it made, and arms the timer.
func (c *conn) turn(fn func()) {
	fn()
	c.flush()
	c.arm()
}

// do has fn run as a turn, unless the connection has ended by then. Any goroutine.
func (c *conn) do(fn func()) {
	_ = c.ws.Do(func() { c.turn(fn) }) // ErrClosed: nobody waits for it
}

// Send implements session.Output.
func (c *conn) Send(f protocol.Frame) error {
	batch, err := c.encoding.Append(c.batch, f)
	if err != nil {
		c.service.unencoded(f, err)
		return err
	}
	if _, is := f.(*protocol.Subscribed); is {
		c.owe(len(batch) - len(c.batch))
	}
	c.batch = batch
	c.service.counts.sent(f)
	c.happened("sent", f)
	return nil
}

// Close implements session.Output.
func (c *conn) Close(code protocol.CloseCode, last *protocol.Closing) {
	if last != nil {
		_ = c.Send(last) // it has no data
	}
	c.flush()
	_ = c.ws.Close(engine.StatusCode(code), "") // it is closing already otherwise
}

// flush sends the batch. A client that reads nothing is not read from either.
func (c *conn) flush() {
	if len(c.batch) == 0 {
		return
	}
	if c.ws.Send(opOf(c.encoding), c.batch) != engine.ErrBackpressure {
		c.batch = nil // kept by nobody: an idle connection has none
		if c.held {
			c.held = false
			c.ws.ResumeReading()
		}
		return
	}
	if !c.held {
		c.held = true
		c.ws.PauseReading()
	}
	if len(c.batch) > maxHeld {
		c.batch = nil
		c.session.CloseWith(protocol.Slow.Close(), nil)
	}
}

// drained sends what the engine did not take before.
func drained(ws *engine.WebSocket) {
	if c := engine.Get[*conn](ws); c != nil {
		c.turn(func() {})
	}
}

// closed ends what the session began.
func closed(ws *engine.WebSocket, status engine.StatusCode, _ string) {
	c := engine.Get[*conn](ws)
	if c == nil {
		return
	}
	c.session.End()
	c.ended(status)
	c.service.registry.leave(c)
	c.leave()
	if c.timer != nil {
		c.timer.Stop()
	}
}

// arm has Expire called at the deadline of the session, which moves.
func (c *conn) arm() {
	at := c.session.Deadline()
	var due int64
	if !at.IsZero() {
		due = at.UnixNano()
	}
	switch {
	case due == c.due:
		return
	case due == 0:
		c.timer.Stop()
		c.timer = nil // most connections need no other
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(at), c.expire)
	default:
		c.timer.Reset(time.Until(at))
	}
	c.due = due
}

// expire runs when the timer fires; one that was moved meanwhile does nothing.
func (c *conn) expire() {
	c.do(func() {
		c.due = 0
		c.session.Expire()
	})
}

// Arrived implements session.Backend by the bytes of the message and the rates.
func (b *backend) Arrived(command protocol.Command) error {
	c := b.conn
	c.service.counts.commands.Add(1)
	c.happened("received", command)
	if c.over != nil {
		return answer(c.over)
	}
	if c.place != nil {
		if err := b.Waited(command); err != nil {
			return err
		}
	}
	if c.address == nil {
		return nil
	}
	return answer(c.address.Allow(1, 0))
}

// Waited implements session.Backend by the rate of the user.
func (b *backend) Waited(command protocol.Command) error {
	c := b.conn
	if c.opens(command) {
		return answer(c.place.Allow(0, 0))
	}
	return answer(c.place.Allow(1, 0))
}

// opens reports whether a command is one of the first subscribes of the connection, as many
// as it may have topics, and of a topic that it does not have. They count for the address
// only, while the user owes nothing: a user who comes back with all his topics, on several
// devices too, is not over his rate.
func (c *conn) opens(command protocol.Command) bool {
	subscribe, is := command.(*protocol.Subscribe)
	if !is || int(c.opening) >= c.service.session.Limits.Topics || c.session.Has(subscribe.Topic) {
		return false
	}
	c.opening++
	return true
}

const (
	// freeAnswers is how large the answers to the subscribes of a connection may be together,
	// in bytes, so that they count for nothing: a user comes back with all his topics.
	freeAnswers = 2 << 20
	// answerBytes of those behind them count as a command.
	answerBytes = 32 << 10
)

// owe has the user's rate pay for an answer to a subscribe.
func (c *conn) owe(bytes int) {
	free := min(bytes, freeAnswers-int(c.opened))
	c.opened += int32(free)
	c.place.Owe(float64(bytes-free) / answerBytes)
}

// attempt is that of the delivery of a topic. Any goroutine.
func (c *conn) attempt(topic string) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for d := c.deliveries; d != nil; d = d.next {
		if d.topic == topic {
			return d.attempt
		}
	}
	return 0
}

// awaits reports whether the client was told that messages of a topic follow the answer.
// Any goroutine.
func (c *conn) awaits(topic string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for d := c.deliveries; d != nil; d = d.next {
		if d.topic == topic {
			return d.more
		}
	}
	return false
}

// begin notes a delivery, in place of another one of the topic.
func (c *conn) begin(d *delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(d.topic)
	d.next, c.deliveries = c.deliveries, d
}

// end forgets the delivery of a topic.
func (c *conn) end(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(topic)
}

// forget is end under mu.
func (c *conn) forget(topic string) {
	for at := &c.deliveries; *at != nil; at = &(*at).next {
		if d := *at; d.topic == topic {
			*at, d.next = d.next, nil
			return
		}
	}
}
