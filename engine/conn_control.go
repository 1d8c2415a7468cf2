package engine

import "github.com/fanloop-go/fanloop/codec"

// Ping sends a ping with p, of at most 125 bytes. The peer answers with a pong of the same
// bytes, for which OnPong is called. It is never refused with ErrBackpressure. Any goroutine.
func (ws *WebSocket) Ping(p []byte) error {
	if len(p) > maxControl {
		return ErrControlTooLong
	}
	return ws.sendControl(codec.Ping, p)
}

const maxControl = 125 // §5.5

func (ws *WebSocket) sendControl(op OpCode, p []byte) error {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if !ws.sendsLocked() {
		return ErrClosed
	}
	return ws.writeControlLocked(op, p)
}

func (ws *WebSocket) writeControlLocked(op OpCode, p []byte) error {
	var buf [codec.MaxHeaderSize + maxControl]byte
	var frame []byte
	if ws.settings().role == codec.Client {
		frame = codec.AppendMaskedFrame(buf[:0], op, true, p)
	} else {
		frame = codec.AppendFrame(buf[:0], op, true, p)
	}
	return fromLoop(ws.conn.WriteLocked(frame, nil, true))
}

// pong answers a ping. While the peer does not read, only the last ping is
// answered (§5.5.3), once the queue is at LowWater, so that pings cannot fill it.
func (ws *WebSocket) pong(p []byte) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if !ws.conn.BlockedLocked() {
		_ = ws.writeControlLocked(codec.Pong, p) // closed meanwhile: no pong is needed
		return
	}
	in := ws.inputLocked()
	in.pong, ws.extras.pongDue = append(in.pong[:0], p...), true
	ws.conn.NotifyLowLocked()
}

// sendDuePong sends the pong that waits, if the queue is at LowWater. Loop only.
func (ws *WebSocket) sendDuePong() {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	x := ws.extras
	switch {
	case x == nil || !x.pongDue || !ws.out.IsOpen():
	case ws.conn.QueuedLocked() > ws.settings().policy.Low: // again
		ws.conn.NotifyLowLocked()
	default:
		x.pongDue = false
		_ = ws.writeControlLocked(codec.Pong, x.input.pong) // closed meanwhile: no pong is needed
	}
}

func (ws *WebSocket) deliverControl(ev *codec.Event) {
	if ev.OpCode == codec.Close {
		ws.peerClosed(ev.Payload)
		return
	}
	if !ws.out.IsOpen() {
		return
	}
	if !ws.control.admit(ws.heard, ws.settings().limits.MaxControlRate) {
		ws.failProtocol(errControlFlood)
		return
	}
	switch ev.OpCode {
	case codec.Ping:
		ws.pong(ev.Payload)
		ws.callPing(ev.Payload)
	case codec.Pong:
		ws.callPong(ev.Payload)
	}
}
