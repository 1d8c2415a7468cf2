package engine

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/headcount"
	"github.com/fanloop-go/fanloop/engine/internal/httpdate"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// adoption is the end of an opening handshake that net/http began.
type adoption struct {
	service  *service
	req      *Request
	extra    http.Header
	buffered []byte
}

func (a *adoption) begin(ws *WebSocket) {
	u := newUpgrade(a.service.server)
	u.service, u.req = a.service, a.req
	ws.opening.stage = u
	u.answer(ws, a.req, a.extra, nil, a.buffered)
}

func (a *adoption) data(*WebSocket, []byte) {}

func (a *adoption) timeout(*WebSocket) {}

func (a *adoption) lost(_ *WebSocket, err error) {
	a.req.life.end(cmp.Or(err, ErrAbnormalClosure))
}

// adopt takes the connection of a request that is to be upgraded, which its service has
// counted.
func (s *Server) adopt(w http.ResponseWriter, r *http.Request, a *adoption) error {
	a.extra = withHeadersOf(w, a.extra)
	nc, buffered, err := hijack(w)
	if err != nil {
		a.service.leave()
		a.req.life.end(err)
		return s.refuse(w, r, err)
	}
	a.buffered = buffered
	_ = nc.SetDeadline(time.Time{}) // net/http's own
	ws := newWebSocket(a.service.settings, &opening{a})
	if err := s.enroll(nc, (*handler)(ws)); err != nil {
		a.service.leave()
		a.req.life.end(err)
		s.refusals.add(s.settings.log, err, a.req.Peer)
		_, _ = nc.Write(handshake.AppendRejection(nil, err, a.req.Method(), httpdate.Now())) // closed meanwhile: no answer is needed
		_ = nc.Close()
		return err
	}
	return nil
}

// withHeadersOf returns the headers to add to the answer 101: extra, and what
// middleware has set on w. What describes a body is left out, since there is none.
func withHeadersOf(w http.ResponseWriter, extra http.Header) http.Header {
	if len(w.Header()) == 0 {
		return extra
	}
	all := make(http.Header)
	for name, values := range w.Header() {
		if handshake.MayAdd(name) && name != "Content-Type" && name != "Content-Encoding" {
			all[name] = values[:len(values):len(values)]
		}
	}
	for name, values := range extra {
		all[name] = append(all[name], values...)
	}
	return all
}

// enroll gives a connection to the loops and counts it, or says why not. The
// lock keeps Shutdown from closing all connections in between.
func (s *Server) enroll(nc net.Conn, h *handler) error {
	var failed error
	defer func() { s.web.logTrouble("take over a connection of net/http", failed) }() // not under the lock
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return errShuttingDown
	}
	defer s.checkDrainedLocked()
	if s.conns.Enter(s.settings.limits.MaxConnections, 0) != headcount.Taken {
		return handshake.Reject(http.StatusServiceUnavailable, "too many connections")
	}
	if failed = s.group.Adopt(nc, h, &(*WebSocket)(h).settings().policy); failed != nil {
		s.conns.Leave()
		return notAdopted(nc, failed)
	}
	return nil
}

// notAdopted tells apart what passes, such as a lack of descriptors, and what
// the program has to change.
func notAdopted(nc net.Conn, err error) error {
	if passes(err) {
		return handshake.Reject(http.StatusServiceUnavailable, "connection cannot be taken over")
	}
	if _, ok := nc.(*tls.Conn); ok {
		return handshake.Reject(http.StatusNotImplemented,
			"a TLS connection can move to an event loop only if its listener is that of engine.NewTLSListener")
	}
	return handshake.Reject(http.StatusNotImplemented, "only a TCP or unix connection can move to an event loop")
}

// passes reports whether err, of loop.Group.Adopt, does not depend on the connection.
func passes(err error) bool { return is[*os.SyscallError](err) || errors.Is(err, loop.ErrStopped) }

// hijack takes the connection behind w, and what was read of it and not used.
func hijack(w http.ResponseWriter) (nc net.Conn, buffered []byte, err error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, &handshake.Rejection{
			Status: http.StatusNotImplemented,
			Reason: "a WebSocket needs HTTP/1.1 and a ResponseWriter that can be hijacked; a middleware may wrap it without Unwrap, as http.TimeoutHandler does",
			Cause:  err,
		}
	}
	buffered = make([]byte, rw.Reader.Buffered())
	_, _ = io.ReadFull(rw.Reader, buffered) // as much as there is
	return nc, buffered, nil
}
