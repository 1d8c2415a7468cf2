package engine

import (
	"fmt"
	"runtime/debug"
)

// Callbacks receive the events of a connection, on the loop that owns it, one
// at a time. Callbacks of different connections run at the same time on
// different loops: guard what they share. All are optional. Bytes are borrowed
// until the callback returns.
//
// Set them once for all connections (Server.Callbacks, DialOptions.Callbacks),
// which costs a connection nothing, or per connection with the methods of the
// same name, from OnUpgrade or another callback.
type Callbacks struct {
	// OnText receives a text message, which is valid UTF-8.
	OnText func(ws *WebSocket, text []byte)
	// OnBinary receives a binary message.
	OnBinary func(ws *WebSocket, data []byte)
	// OnFragment, if set, receives messages piece by piece as they arrive
	// instead of OnText and OnBinary, so a message may be larger than memory.
	// op is that of the message; fin marks its last piece, which may be empty. A
	// piece of text may end inside a rune. A compressed message is one piece.
	OnFragment func(ws *WebSocket, op OpCode, piece []byte, fin bool)
	// OnPing is told of pings, which are answered without it.
	OnPing func(ws *WebSocket, payload []byte)
	// OnPong is told of pongs.
	OnPong func(ws *WebSocket, payload []byte)
	// OnDrain is called after the queue was over Limits.HighWater or a send
	// returned ErrBackpressure, once the queue fell to LowWater and has room for
	// the message that was refused: send on.
	OnDrain func(ws *WebSocket)
	// OnGap reports that dropped messages of topic are lost to this connection,
	// because it read too slowly or its loop was behind when they were published.
	// It is called before anything that was published to topic behind them is
	// sent, whatever ends the subscription or closes the connection in order; what
	// it sends goes before that. A connection's own publishes are not counted.
	OnGap func(ws *WebSocket, topic string, dropped uint64)
	// OnError is told what went wrong before OnClose follows.
	OnError func(ws *WebSocket, err error)
	// OnClose is the last callback, once. code is what the peer sent in its
	// close frame, 1005 if that was empty; what this side sent if it failed the
	// connection; 1006 otherwise.
	OnClose func(ws *WebSocket, code StatusCode, reason string)
}

// own gives ws callbacks of its own to change.
func (ws *WebSocket) own() *Callbacks {
	if ws.callbacks == &ws.endpoint.callbacks {
		c := *ws.callbacks
		ws.callbacks = &c
	}
	return ws.callbacks
}

// OnText sets the callback of that name for this connection. Owning loop only.
func (ws *WebSocket) OnText(fn func(ws *WebSocket, text []byte)) { ws.own().OnText = fn }

// OnBinary sets the callback of that name for this connection. Owning loop only.
func (ws *WebSocket) OnBinary(fn func(ws *WebSocket, data []byte)) { ws.own().OnBinary = fn }

// OnFragment sets the callback of that name for this connection; it counts from
// the next message on. Owning loop only.
func (ws *WebSocket) OnFragment(fn func(ws *WebSocket, op OpCode, piece []byte, fin bool)) {
	ws.own().OnFragment = fn
	ws.reader.SetStreaming(fn != nil)
}

// OnPing sets the callback of that name for this connection. Owning loop only.
func (ws *WebSocket) OnPing(fn func(ws *WebSocket, payload []byte)) { ws.own().OnPing = fn }

// OnPong sets the callback of that name for this connection. Owning loop only.
func (ws *WebSocket) OnPong(fn func(ws *WebSocket, payload []byte)) { ws.own().OnPong = fn }

// OnDrain sets the callback of that name for this connection. Owning loop only.
func (ws *WebSocket) OnDrain(fn func(ws *WebSocket)) { ws.own().OnDrain = fn }

// OnGap sets the callback of that name for this connection. Owning loop only.
func (ws *WebSocket) OnGap(fn func(ws *WebSocket, topic string, dropped uint64)) {
	ws.own().OnGap = fn
}

// OnError sets the callback of that name for this connection. Owning loop only.
func (ws *WebSocket) OnError(fn func(ws *WebSocket, err error)) { ws.own().OnError = fn }

// OnClose sets the callback of that name for this connection. Owning loop only.
func (ws *WebSocket) OnClose(fn func(ws *WebSocket, code StatusCode, reason string)) {
	ws.own().OnClose = fn
}

// guard turns a panic of a callback into the end of this connection alone. It
// is deferred around everything that calls callbacks on the loop.
func (ws *WebSocket) guard() {
	if v := recover(); v != nil {
		ws.panicked(v)()
	}
}

// panicked logs a panic. What it returns fails the connection, on the loop.
func (ws *WebSocket) panicked(v any) func() {
	err := &PanicError{Value: v, Stack: debug.Stack()}
	ws.endpoint.log.Error("engine: a callback panicked; its connection is closed with 1011",
		"panic", fmt.Sprint(v), "stack", string(err.Stack))
	return func() { ws.fail(StatusInternalError, "internal error", err) }
}
