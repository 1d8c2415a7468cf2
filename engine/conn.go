package engine

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// WebSocket is one connection. A Server gives it to OnUpgrade, and Dial returns it; it
// is the same on both sides. The comment of a method says who may call it: "any
// goroutine", or "owning loop", which means OnUpgrade, a callback of this connection
// that runs on the loop, or Do.
type WebSocket struct {
	// What a message touches stands together, in few cache lines.

	conn loop.Conn

	out outlet.Outlet // with owners of its own

	paused atomic.Uint32 // pausedBy bits; written under the lock of conn, read by anyone
	acked  uint32        // bytes, as Conn.Acknowledged had them when ws.takes last saw progress; owned by the loop

	timer        deadline                // what the timer of conn was set for; owned by the loop
	ownCallbacks bool                    // nobody else has callbacks; owned by the loop
	waits        bool                    // the last ping has not left this process yet; owned by the loop
	params       handshake.DeflateParams // that were agreed on; immutable once the connection is open

	// Set once, under the lock of conn.
	member atomic.Pointer[fanout.Member] // nil until it subscribes

	// Set on the loop, read by anyone.
	terms atomic.Pointer[settings] // see settings

	// Owned by the loop.
	reader    codec.Reader
	callbacks *Callbacks    // shared, until own copies them
	opening   opening       // nil once the opening handshake is over
	heard     time.Duration // when bytes last came
	messaged  time.Duration // when a message last came

	control controlMeter  // owned by the loop
	pinged  time.Duration // since when the peer owes a sign of life for a ping; 0: it does not; owned by the loop
	extras  *extras       // what most connections never need; guarded by the lock of conn
}

// extras hold what a connection needs rarely or once.
type extras struct {
	subprotocol string
	takeover    *takeover    // nil: no context takeover
	lane        *lane        // of the worker pool
	slow        *fanout.Slow // nil: that of the server or the topic
	told        *addrs       // nil: the kernel knows them
	value       any          // see Set
	onDemand    *onDemand    // nil: nobody asked for any of it
	ending      *ending      // nil: nothing has ended it, or is about to
	input       *input       // nil: nothing waits
	pongDue     bool         // input.pong is to be sent
	inOnGap     bool         // OnGap is being called: what it sends goes out, though Close was called
}

// input is what came and waits.
type input struct {
	held    []byte     // received and not yet looked at, because reading is paused
	waiting *inflation // received before that, and put off; owned by the loop
	pong    []byte     // the answer to the last ping, when the queue has room
	arrival progress   // of the message that is arriving; while closing, of all of them; owned by the loop
}

// ending is the end of a connection.
type ending struct {
	asked  closeFrame // what Close asked for
	why    CloseCause // on whose behalf; CauseNone: nobody has asked
	status closeFrame // what the peer sent, or what it was failed with; code 0: neither
	err    error      // why it ended
	kept   *addrs     // for an OnClose that runs when the kernel knows no addresses any more
	final  bool       // all is known of it; OnClose follows
	ended  bool       // OnClose has returned

	// Owned by the loop.
	overdue    bool // OnError has not returned, and OnClose follows
	unreadOnce bool // CloseTimeout found something unread
	discarded  int  // bytes of messages that came while closing
	late       int  // how many may come in all; see arrivesLate
}

func newWebSocket(e *settings, o opening) *WebSocket {
	ws := &WebSocket{callbacks: &e.callbacks, opening: o}
	ws.terms.Store(e)
	ws.reader.Init(&e.reader)
	return ws
}

// extrasLocked returns the extras of ws, made if need be.
func (ws *WebSocket) extrasLocked() *extras {
	if ws.extras == nil {
		ws.extras = new(extras)
	}
	return ws.extras
}

// inputLocked returns the input of ws, made if need be.
func (ws *WebSocket) inputLocked() *input {
	x := ws.extrasLocked()
	if x.input == nil {
		x.input = new(input)
	}
	return x.input
}

// peekInput returns the input of ws; nil if there is none. For the loop, which owns
// some of its fields.
func (ws *WebSocket) peekInput() *input {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	return ws.knownInputLocked()
}

func (ws *WebSocket) knownInputLocked() *input {
	if ws.extras == nil {
		return nil
	}
	return ws.extras.input
}

// endingLocked returns the ending of ws, made if need be.
func (ws *WebSocket) endingLocked() *ending {
	x := ws.extrasLocked()
	if x.ending == nil {
		x.ending = new(ending)
	}
	return x.ending
}

// peekEnding returns the ending of ws; nil if there is none. For the loop, which owns
// some of its fields.
func (ws *WebSocket) peekEnding() *ending {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	return ws.knownEndingLocked()
}

func (ws *WebSocket) knownEndingLocked() *ending {
	if ws.extras == nil {
		return nil
	}
	return ws.extras.ending
}

// Do runs fn on the owning loop, like a callback of this connection, and does not wait
// for it. What fn sends leaves in one write. fn does not run if the connection has
// ended by then; Do returns ErrClosed if it has ended already. Any goroutine.
func (ws *WebSocket) Do(fn func()) error {
	return fromLoop(ws.conn.Do(func() {
		callDo(fn)
		ws.carryOut()
	}))
}

// PauseReading stops reading until ResumeReading. No message callback is called
// meanwhile, not even for what was received already. TCP slows the peer down: it can
// send what fits the kernel's buffers and one read of the loop. The peer's close is not
// noticed, and PongTimeout and IdleTimeout rest. After Close it does nothing, since the
// peer's answer has to be read. Any goroutine; if it is not the loop's, a callback may be
// running as it returns.
func (ws *WebSocket) PauseReading() { ws.pause(pausedByUser) }

// ResumeReading ends PauseReading: callbacks follow for what was received meanwhile. Any
// goroutine.
func (ws *WebSocket) ResumeReading() { ws.unpause(pausedByUser) }

// Who paused reading.
const (
	pausedByUser uint32 = 1 << iota
	pausedByDispatch
	pausedForTurn // the loop serves others
)

func (ws *WebSocket) pause(by uint32) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.out.IsOpen() {
		ws.paused.Or(by) // receive sees it; only the loop pauses and resumes conn
	}
}

func (ws *WebSocket) unpause(by uint32) {
	if ws.paused.And(^by) == by {
		ws.conn.Notify()
	}
}

// Buffered returns how many bytes of messages wait for the peer to read, published ones
// included. Any goroutine.
func (ws *WebSocket) Buffered() int {
	n := ws.conn.Queued()
	if m := ws.member.Load(); m != nil {
		n += m.Waiting()
	}
	return n
}

// RemoteAddr returns the peer's address: that of the PROXY header of a trusted proxy, or
// else the kernel's. The kernel's is nil once OnClose has returned, and after a reset
// in OnClose too, except on Linux. Any goroutine.
func (ws *WebSocket) RemoteAddr() net.Addr {
	if known, ended := ws.addresses(); known != nil {
		return known.remote
	} else if ended {
		return nil
	}
	return ws.conn.RemoteAddr()
}

// LocalAddr is RemoteAddr for this side: the address the client connected to, which is
// the proxy's if there is a PROXY header.
func (ws *WebSocket) LocalAddr() net.Addr {
	if known, ended := ws.addresses(); known != nil {
		return known.local
	} else if ended {
		return nil
	}
	return ws.conn.LocalAddr()
}

// addresses returns those that need not be asked for, and whether there is nobody
// to ask any more.
func (ws *WebSocket) addresses() (known *addrs, ended bool) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	x := ws.extras
	switch {
	case x == nil:
		return nil, false
	case x.ending == nil:
		return x.told, false
	case x.told != nil:
		return x.told, x.ending.ended
	}
	return x.ending.kept, x.ending.ended
}

func (ws *WebSocket) told() *addrs {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.extras == nil {
		return nil
	}
	return ws.extras.told
}

// Limits returns what bounds the connection, with the defaults in place of zeros.
// Any goroutine.
func (ws *WebSocket) Limits() Limits { return ws.settings().limits }

// Subprotocol returns the subprotocol agreed in the opening handshake (RFC 6455 section
// 1.9); "" if there is none. Any goroutine.
func (ws *WebSocket) Subprotocol() string {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.extras == nil {
		return ""
	}
	return ws.extras.subprotocol
}

// Extensions returns the value of Sec-WebSocket-Extensions agreed in the
// opening handshake; "" for none (RFC 6455 section 9.1). Any goroutine.
func (ws *WebSocket) Extensions() string {
	if ws.out.Variant == frames.Plain {
		return ""
	}
	return handshake.FormatDeflate(ws.params)
}

// CloseStatus returns the code and reason that OnClose gets; 0 before the connection has
// ended. Any goroutine.
func (ws *WebSocket) CloseStatus() (StatusCode, string) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	e := ws.knownEndingLocked()
	if ws.phase() != outlet.Closed || e == nil {
		return 0, ""
	}
	return e.status.code, e.status.reason
}

// Err returns why the connection ended or is about to. It is nil while the connection is
// open, and after a closing handshake. Otherwise it is a *ProtocolError if the peer
// broke the protocol or a limit, a *PanicError, or one of the errors of this package;
// ErrAbnormalClosure wraps what the network reported. Any goroutine. For metrics there
// is Cause.
func (ws *WebSocket) Err() error {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	switch s, e := ws.out.State(), ws.knownEndingLocked(); {
	case e != nil && e.err != nil:
		return e.err
	case s.Asked(outlet.AskRelief): // OnError follows, as below
		return ErrOverload
	case s.Asked(outlet.AskShed):
		return ErrSlow
	}
	return nil
}
