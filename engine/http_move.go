package engine

import (
	"errors"
	"net/http"
	"time"

	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// handToHTTP gives a connection with a request, and what was read behind its head,
// to the net/http server. Loop only.
func (s *Server) handToHTTP(ws *WebSocket, u *upgrade, req *handshake.Request, head, rest []byte) {
	nc, err := ws.conn.Detach()
	switch {
	case errors.Is(err, loop.ErrClosed): // by another goroutine
		return
	case err != nil:
		s.web.logTrouble("hand a connection to net/http", err)
		u.reject(ws, handshake.Reject(http.StatusServiceUnavailable, "no descriptors left"))
		return
	}
	c := newWebConn(s, nc, ws.proxiedAddrs())
	c.in.Write(head)
	c.in.Write(rest)
	c.begin(req, len(head))
	ws.opening = nil
	u.release(ws)
	s.web.serve(c)
}

// takeBack gives a connection of net/http to the loops again, with what was received
// of a next request. It reports whether it did.
func (s *Server) takeBack(c *webConn) bool {
	var err error
	defer func() { s.web.logTrouble("take back a connection of net/http", err) }() // not under the lock
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	ws := newWebSocket(s.settings, &opening{&keptAlive{server: s, received: c.in.Bytes()}})
	if c.proxied != nil {
		ws.extras = &extras{proxied: c.proxied}
	}
	_ = c.Conn.SetDeadline(time.Time{})
	err = s.group.Adopt(c.Conn, (*handler)(ws), &s.settings.policy)
	return err == nil
}

// keptAlive is a connection whose requests so far net/http has answered. The next
// one is judged like the first.
type keptAlive struct {
	server   *Server
	received []byte
}

func (k *keptAlive) begin(ws *WebSocket) {
	if len(k.received) > 0 {
		ws.advance(newUpgrade(k.server), k.received)
		return
	}
	ws.arm(deadlineHandshake, webKeepAlive)
}

func (k *keptAlive) data(ws *WebSocket, b []byte) {
	ws.arm(deadlineHandshake, ws.settings().limits.HandshakeTimeout)
	ws.advance(newUpgrade(k.server), b)
}

func (k *keptAlive) timeout(ws *WebSocket) { ws.conn.Close(loop.CloseNow) }

func (k *keptAlive) lost(*WebSocket, error) {}
