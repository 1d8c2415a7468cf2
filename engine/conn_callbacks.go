package engine

import (
	"net/http"

	"github.com/fanloop-go/fanloop/handshake"
)

// Callbacks receive the events of a connection. They run on the loop that owns it, one
// at a time. Callbacks of different connections may run at the same time, on different
// loops: guard what they share. All are optional. Bytes are borrowed: copy what you
// keep after the callback returns.
//
// Set them for all connections (Server.Callbacks, DialOptions.Callbacks), which costs a
// connection nothing. Or set them for one connection, from OnUpgrade or another
// callback, by the methods of the same name.
type Callbacks struct {
	// OnText is called for each text message. text is valid UTF-8.
	OnText func(ws *WebSocket, text []byte)
	// OnBinary is called for each binary message.
	OnBinary func(ws *WebSocket, data []byte)
	// OnMessage is called for each message whose kind has no callback of its own: OnText
	// and OnBinary go before it. op is Text or Binary.
	OnMessage func(ws *WebSocket, op OpCode, data []byte)
	// OnFragment is called for each piece of a message as it arrives, in place of OnText,
	// OnBinary and OnMessage: a message may be larger than memory. op is that of the
	// message. fin marks its last piece, which may be empty. A piece of text may end
	// inside a rune. A compressed message is one piece. Limits.MaxMessage and MaxFragments
	// bound that one only.
	OnFragment func(ws *WebSocket, op OpCode, piece []byte, fin bool)
	// OnPing is called for each ping. The pong has been sent already.
	OnPing func(ws *WebSocket, payload []byte)
	// OnPong is called for each pong.
	OnPong func(ws *WebSocket, payload []byte)
	// OnDrain is called when the queue has shrunk to Limits.LowWater and has room for the
	// message that was refused, if it had exceeded HighWater or a send returned
	// ErrBackpressure. Send on.
	OnDrain func(ws *WebSocket)
	// OnGap is called when the connection has lost messages of topic: it read too slowly,
	// or its loop was behind when they were published. dropped is how many; 0 means
	// that the number is unknown, because they are of another server (Server.Gap). It is
	// called before anything behind them is sent, also when Unsubscribe or a close follows, and
	// what it sends goes first. A connection's own publishes are not counted. Fetch what
	// is missing, or send a snapshot.
	OnGap func(ws *WebSocket, topic string, dropped uint64)
	// OnUnsubscribe is called when the policy SlowUnsubscribe has ended the subscription to
	// topic. What was published before has been sent, and nothing is sent from the
	// message on that has this tag. Fetch what is missing, and subscribe again.
	OnUnsubscribe func(ws *WebSocket, topic string, tag any)
	// OnError is called when something goes wrong that ends the connection. OnClose
	// follows.
	OnError func(ws *WebSocket, err error)
	// OnClose is called once, as the last callback. code is that of the peer's close
	// frame, 1005 if that was empty. If this side failed the connection, it is the code
	// that this side sent. Otherwise it is 1006. reason is that of the same frame, so after
	// Close it is what the peer answered and not what Close was given. Err and Cause say why
	// it ended.
	OnClose func(ws *WebSocket, code StatusCode, reason string)
}

// own gives ws callbacks of its own to change.
func (ws *WebSocket) own() *Callbacks {
	if !ws.ownCallbacks {
		c := *ws.callbacks
		ws.callbacks, ws.ownCallbacks = &c, true
	}
	return ws.callbacks
}

// OnText sets Callbacks.OnText of this connection. Owning loop only.
func (ws *WebSocket) OnText(fn func(ws *WebSocket, text []byte)) { ws.own().OnText = fn }

// OnBinary sets Callbacks.OnBinary of this connection. Owning loop only.
func (ws *WebSocket) OnBinary(fn func(ws *WebSocket, data []byte)) { ws.own().OnBinary = fn }

// OnMessage sets Callbacks.OnMessage of this connection. Owning loop only.
func (ws *WebSocket) OnMessage(fn func(ws *WebSocket, op OpCode, data []byte)) {
	ws.own().OnMessage = fn
}

// OnFragment sets Callbacks.OnFragment of this connection, from the next message on.
// Owning loop only.
func (ws *WebSocket) OnFragment(fn func(ws *WebSocket, op OpCode, piece []byte, fin bool)) {
	ws.own().OnFragment = fn
	ws.reader.SetStreaming(fn != nil)
}

// OnPing sets Callbacks.OnPing of this connection. Owning loop only.
func (ws *WebSocket) OnPing(fn func(ws *WebSocket, payload []byte)) { ws.own().OnPing = fn }

// OnPong sets Callbacks.OnPong of this connection. Owning loop only.
func (ws *WebSocket) OnPong(fn func(ws *WebSocket, payload []byte)) { ws.own().OnPong = fn }

// OnDrain sets Callbacks.OnDrain of this connection. Owning loop only.
func (ws *WebSocket) OnDrain(fn func(ws *WebSocket)) { ws.own().OnDrain = fn }

// OnGap sets Callbacks.OnGap of this connection. Owning loop only.
func (ws *WebSocket) OnGap(fn func(ws *WebSocket, topic string, dropped uint64)) {
	ws.own().OnGap = fn
}

// OnUnsubscribe sets Callbacks.OnUnsubscribe of this connection. Owning loop only.
func (ws *WebSocket) OnUnsubscribe(fn func(ws *WebSocket, topic string, tag any)) {
	ws.own().OnUnsubscribe = fn
}

// OnError sets Callbacks.OnError of this connection. Owning loop only.
func (ws *WebSocket) OnError(fn func(ws *WebSocket, err error)) { ws.own().OnError = fn }

// OnClose sets Callbacks.OnClose of this connection. Owning loop only.
func (ws *WebSocket) OnClose(fn func(ws *WebSocket, code StatusCode, reason string)) {
	ws.own().OnClose = fn
}

// What the program gave to be called is called by functions whose names begin
// with call: this is how package loop finds out which callback holds up its loop.
// A callback may not return, so what has to follow it is deferred.

// callMessage gives a message, or a piece of one, to its callback.
func (ws *WebSocket) callMessage(op OpCode, p []byte, fin bool) {
	cb := ws.callbacks
	switch {
	case cb.OnFragment != nil:
		cb.OnFragment(ws, op, p, fin)
	case op == Text && cb.OnText != nil:
		cb.OnText(ws, p)
	case op == Binary && cb.OnBinary != nil:
		cb.OnBinary(ws, p)
	case cb.OnMessage != nil:
		cb.OnMessage(ws, op, p)
	}
}

func (ws *WebSocket) callPing(payload []byte) {
	if fn := ws.callbacks.OnPing; fn != nil {
		fn(ws, payload)
	}
}

func (ws *WebSocket) callPong(payload []byte) {
	if fn := ws.callbacks.OnPong; fn != nil {
		fn(ws, payload)
	}
}

func (ws *WebSocket) callDrain() {
	if fn := ws.callbacks.OnDrain; fn != nil {
		fn(ws)
	}
}

func (ws *WebSocket) callGap(topic string, dropped uint64) {
	if fn := ws.callbacks.OnGap; fn != nil {
		fn(ws, topic, dropped)
	}
}

func (ws *WebSocket) callUnsubscribe(topic string, tag any) {
	if fn := ws.callbacks.OnUnsubscribe; fn != nil {
		fn(ws, topic, tag)
	}
}

func (ws *WebSocket) callError(err error) {
	if fn := ws.callbacks.OnError; fn != nil {
		fn(ws, err)
	}
}

func (ws *WebSocket) callClose(code StatusCode, reason string) {
	if fn := ws.callbacks.OnClose; fn != nil {
		fn(ws, code, reason)
	}
}

func callDo(fn func()) { fn() }

func callEach(fn func(ws *WebSocket), ws *WebSocket) { fn(ws) }

func callEachLoop(fn func(loop int), loop int) { fn(loop) }

func (s *Server) callConfigureHTTP(srv *http.Server) { s.ConfigureHTTP(srv) }

func (v *service) callOrigin(req *handshake.Request) bool {
	if v.Origin == nil {
		return handshake.SameHost(req)
	}
	return v.Origin(req)
}

func (s *Server) callMaySubscribe(ws *WebSocket, topic string) error {
	if s.MaySubscribe == nil {
		return nil
	}
	return s.MaySubscribe(ws, topic)
}

func (v *service) callShouldUpgrade(req *Request) (http.Header, error) {
	if v.ShouldUpgrade == nil {
		return nil, nil
	}
	return v.ShouldUpgrade(req)
}

func (v *service) callUpgrade(ws *WebSocket, req *Request) {
	if v.OnUpgrade != nil {
		v.OnUpgrade(ws, req)
	}
}

func (o *DialOptions) callUpgrade(ws *WebSocket) {
	if o.OnUpgrade != nil {
		o.OnUpgrade(ws)
	}
}

func (p *ReconnectPolicy) callConnect(ws *WebSocket, n int) {
	if p.OnConnect != nil {
		p.OnConnect(ws, n)
	}
}

func (o *DialOptions) callResponse(resp *handshake.Response) {
	if o.OnResponse != nil {
		o.OnResponse(resp)
	}
}
