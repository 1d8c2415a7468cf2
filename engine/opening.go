package engine

import "github.com/fanloop-go/fanloop/engine/internal/outlet"

// opening is where a connection keeps the stage of its opening handshake. One that is open
// has none, so it costs an open connection a pointer and not an interface. Owned by the loop.
type opening struct{ stage }

// stage is a stage of the opening handshake: PROXY header and TLS may come
// before that of RFC 6455. Each leads to the next by advance. Owned by the loop.
type stage interface {
	// begin is called when the transport is connected and the stages before are over.
	begin(ws *WebSocket)
	// data is called with bytes that arrived.
	data(ws *WebSocket, b []byte)
	// timeout is called when all stages so far took too long.
	timeout(ws *WebSocket)
	// lost is called when the transport ended before the connection was open.
	lost(ws *WebSocket, err error)
}

// open makes ws an open connection. The answer is queued, and no frame has been parsed.
func (ws *WebSocket) open(subprotocol string, onUpgrade func()) {
	ws.opening = nil
	ws.hear(ws.conn.Loop().Now())
	ws.messaged = ws.heard
	ws.control = controlMeter(ws.heard) // nothing is saved up
	if ws.callbacks.OnFragment != nil {
		ws.reader.SetStreaming(true)
	}
	if subprotocol != "" {
		ws.conn.Lock()
		ws.extrasLocked().subprotocol = subprotocol
		ws.conn.Unlock()
	}
	ws.become(outlet.Open)
	onUpgrade()
}
