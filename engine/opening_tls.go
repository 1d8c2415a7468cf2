package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"syscall"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// secure is the TLS handshake (RFC 8446), after which next begins. The deadline of
// the opening handshake covers it.
type secure struct {
	config   *tls.Config // not to be changed any more
	received []byte      // what a client's transport had read already
	next     stage
	bad      *loop.Throttle // logs failures; nil: next reports them

	begun bool // owned by the loop
}

// begin starts the handshake of a client, which speaks first. A server waits for
// the first bytes: a peer that sends nothing costs a connection and no more.
func (s *secure) begin(ws *WebSocket) {
	if ws.settings().role == codec.Client {
		s.begun = true
		ws.conn.StartTLSClient(s.config, s.received, func() { s.finish(ws) })
	}
}

// data takes the first bytes that a client sent to a server. The loop keeps what
// follows to itself until the handshake is over.
func (s *secure) data(ws *WebSocket, b []byte) {
	if s.begun { // the server spoke before the client: no TLS
		ws.conn.Close(loop.CloseNow)
		return
	}
	s.begun = true
	ws.conn.StartTLSServer(s.config, b, func() { s.finish(ws) })
}

func (s *secure) finish(ws *WebSocket) {
	if ws.opening != nil && ws.opening.stage == s {
		ws.advance(s.next, nil)
	}
}

func (s *secure) timeout(ws *WebSocket) {
	if ws.settings().role == codec.Client {
		return // Dial has a context for that
	}
	ws.conn.Close(loop.CloseNow) // no answer can be sent before the handshake is over
}

func (s *secure) lost(ws *WebSocket, err error) {
	if s.bad != nil && isTLSFailure(err) {
		s.bad.Log(ws.settings().log, slog.LevelWarn, "engine: a TLS handshake failed", slog.Any("err", err))
	}
	s.next.lost(ws, err)
}

// isTLSFailure reports whether err deserves a line in the log: peers that connect
// and leave, or scan ports, do not.
func isTLSFailure(err error) bool {
	var op syscall.Errno
	return err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) &&
		!errors.Is(err, loop.ErrStopped) && !errors.As(err, &op)
}

// TLS returns the state of the TLS connection: what was agreed, and the peer's
// certificates. It is nil without TLS. Do not change it. Any goroutine.
func (ws *WebSocket) TLS() *tls.ConnectionState { return ws.conn.TLS() }

// advance begins the next stage of the opening handshake, with what was received
// for it, which is borrowed. Loop only.
func (ws *WebSocket) advance(next stage, received []byte) {
	ws.opening.stage = next
	next.begin(ws)
	if len(received) > 0 && ws.opening != nil {
		ws.opening.data(ws, received)
	}
}
