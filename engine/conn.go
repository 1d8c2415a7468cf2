package engine

import (
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// WebSocket is one connection, the same on both sides. A Server gives it to OnUpgrade, and
// Dial returns it. The comment of each method says who may call it. "Any goroutine" means
// that. "Owning loop" means OnUpgrade, a callback of this connection that runs on the loop, or
// Do.
type WebSocket struct {
	// What each message uses comes first, in few cache lines.

	conn loop.Conn

	out outlet.Outlet // with owners of its own

	paused atomic.Uint32 // pausedBy bits; written under the lock of conn, read by anyone
	acked  uint32        // bytes, as Conn.Acknowledged had them when ws.takes last saw progress; owned by the loop

	timer        deadline                // what the timer of conn was set for; owned by the loop
	ownCallbacks bool                    // callbacks is not shared; owned by the loop
	waits        bool                    // the last ping has not left this process yet; owned by the loop
	owes         bool                    // the peer has given no sign of life since it was pinged; owned by the loop
	params       handshake.DeflateParams // that were agreed on; immutable once the connection is open

	// Set once, under the lock of conn.
	member atomic.Pointer[fanout.Member] // nil until it subscribes

	// Owned by the loop.
	reader    codec.Parser  // by readerConfig of its settings
	callbacks *Callbacks    // shared, until own copies them
	opening   *opening      // nil once the opening handshake is over
	heard     time.Duration // when bytes last came; if it owes: when it was pinged
	messaged  time.Duration // when a message last came

	control controlMeter // owned by the loop
	extras  *extras      // what most connections never need; guarded by the lock of conn
}

func newWebSocket(e *settings, o *opening) *WebSocket {
	ws := &WebSocket{callbacks: &e.callbacks, opening: o}
	ws.conn.SetPolicy(&e.policy)
	return ws
}

// Do runs fn on the owning loop, like a callback of this connection. It does not wait. What fn
// sends leaves in one write. fn does not run if the connection has ended by then; Do returns
// ErrClosed if it has ended already. Any goroutine.
func (ws *WebSocket) Do(fn func()) error {
	return fromLoop(ws.conn.Do(func() {
		callDo(fn)
		ws.carryOut()
	}))
}

// Buffered returns how many bytes of messages wait for the peer, published ones included. Any
// goroutine.
func (ws *WebSocket) Buffered() int {
	n := ws.conn.Queued()
	if m := ws.member.Load(); m != nil {
		n += m.Waiting()
	}
	return n
}

// settings returns the settings of ws, to which the policy of its conn leads: a pointer of
// its own would take room in each. Any goroutine.
func (ws *WebSocket) settings() *settings {
	e, _ := ws.conn.Policy().Owner.(*settings) // always; a check that panics would be code in 60 places
	return e
}

// goBy makes e the settings of ws. On the loop.
func (ws *WebSocket) goBy(e *settings) {
	ws.conn.SetPolicy(&e.policy)
}
