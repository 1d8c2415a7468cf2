package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"syscall"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// secure is the TLS handshake (RFC 8446), which comes before next. Whoever
// puts it into ws.opening has set the deadline already.
type secure struct {
	config   *tls.Config // not to be changed any more
	received []byte      // by a client, with the transport
	next     opening
	bad      *loop.Throttle // nil: next tells of a failure

	begun bool // owned by the loop
}

// begin starts the client's side, which speaks first. The server waits for
// that: who says nothing costs it nothing more than a connection.
func (s *secure) begin(ws *WebSocket) {
	if ws.endpoint.role == codec.Client {
		s.begun = true
		ws.conn.StartTLSClient(s.config, s.received, func() { s.finish(ws) })
	}
}

// data is the first that a client sent to a server. From then on the loop
// keeps what arrives to itself.
func (s *secure) data(ws *WebSocket, b []byte) {
	if s.begun { // a server that speaks before the client has: no TLS
		ws.conn.Close(loop.CloseNow)
		return
	}
	s.begun = true
	ws.conn.StartTLSServer(s.config, b, func() { s.finish(ws) })
}

func (s *secure) finish(ws *WebSocket) {
	if ws.opening == s {
		ws.advance(s.next, nil)
	}
}

func (s *secure) timeout(ws *WebSocket) {
	if ws.endpoint.role == codec.Client {
		return // Dial itself keeps the time
	}
	ws.conn.Close(loop.CloseNow) // before TLS stands there is nothing to say it in
}

func (s *secure) lost(ws *WebSocket, err error) {
	if s.bad != nil && isTLSFailure(err) {
		s.bad.Log(ws.endpoint.log, slog.LevelWarn, "engine: a TLS handshake failed", slog.Any("err", err))
	}
	s.next.lost(ws, err)
}

// isTLSFailure says whether err is worth a line in the log: peers that come and
// go, or look which ports are open, are not.
func isTLSFailure(err error) bool {
	var op syscall.Errno
	return err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) &&
		!errors.Is(err, loop.ErrStopped) && !errors.As(err, &op)
}

// advance goes on with the next stage of the opening handshake and what was
// received for it, which is borrowed. Loop only.
func (ws *WebSocket) advance(next opening, received []byte) {
	ws.opening = next
	next.begin(ws)
	if len(received) > 0 && ws.opening != nil {
		ws.opening.data(ws, received)
	}
}

// TLS returns what was agreed with the peer and who it proved to be; nil
// without TLS. Do not change it. Any goroutine.
func (ws *WebSocket) TLS() *tls.ConnectionState { return ws.conn.TLS() }

// RequestTLS returns what [WebSocket.TLS] will, for ShouldUpgrade: who presented
// which certificate. nil if the request came without TLS or its connection is
// gone. Do not change it. Any goroutine.
func RequestTLS(req *handshake.Request) *tls.ConnectionState {
	if p, ok := req.Peer.(interface{ TLS() *tls.ConnectionState }); ok {
		return p.TLS()
	}
	return nil
}

// NewTLSListener makes a TLS listener for a net/http server whose WebSockets
// are to move to event loops: [Server.ServeHTTP] takes over what it accepted,
// which with a listener of package tls it cannot. nl must accept TCP or unix
// connections. config is cloned and needs certificates; "http/1.1" stands for
// empty NextProtos; if "h2" is among them, pages may come by HTTP/2, and clients
// that open a WebSocket have to ask for "http/1.1".
//
//	nl, err := net.Listen("tcp", ":8443")
//	...
//	err = http.Serve(engine.NewTLSListener(nl, config), router)
func NewTLSListener(nl net.Listener, config *tls.Config) net.Listener {
	return loop.NewTLSListener(nl, serverTLS(config, anyProtocol))
}
