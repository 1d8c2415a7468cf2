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

// webPeer is the peer of a request that net/http received.
type webPeer struct {
	addr string
	tls  *tls.ConnectionState
}

func (p *webPeer) String() string { return p.addr }

// TLS is for Request.TLS.
func (p *webPeer) TLS() *tls.ConnectionState { return p.tls }

// fromHTTP is the request as the engine judges it.
func (s *Server) fromHTTP(r *http.Request) (*Request, error) {
	req, err := handshake.FromHTTP(r.Method, r.RequestURI, r.Host, r.Header, r.Proto, r.ContentLength)
	if err != nil {
		return nil, err
	}
	req.Peer = &webPeer{addr: r.RemoteAddr, tls: r.TLS}
	return &Request{Request: req, server: s, web: r, arrived: time.Now()}, nil
}

// ServeHTTP implements http.Handler: it makes a WebSocket of a request that
// net/http or a router received, and moves the connection to a loop.
// ShouldUpgrade runs on the goroutine of the request, OnUpgrade on the loop. An
// encrypted connection can move if its listener is that of [NewTLSListener];
// otherwise it gets 501.
//
// Routers that take an http.Handler take a Server (http.ServeMux, chi); gin does
// so by gin.WrapH, echo by echo.WrapHandler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.ready(w) != nil {
		return
	}
	req, err := s.fromHTTP(r)
	if err != nil {
		_ = s.refuse(w, r, err)
		return
	}
	v, err := s.route(req)
	if err != nil {
		_ = s.refuse(w, r, err)
		return
	}
	_ = s.upgrade(w, r, req, v)
}

// ready starts the loops. If they do not start, it answers the request with 500.
func (s *Server) ready(w http.ResponseWriter) error {
	err := s.started()
	if err != nil {
		http.Error(w, "the WebSocket engine did not start", http.StatusInternalServerError)
	}
	return err
}

// upgrade makes a WebSocket of a request of net/http, or answers it with the error that
// it returns.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, req *Request, v *service) (err error) {
	var extra http.Header
	s.settings.guard(panicRefuses, func() error {
		return s.upgradeCalls.run(func() (err error) {
			extra, err = v.ask(req)
			return err
		})
	}, func(failed error) {
		if failed == nil {
			err = s.adopt(w, r, &adoption{service: v, req: req, extra: extra})
			return
		}
		req.life.end(failed)
		err = s.refuse(w, r, failed)
		if is[*PanicError](failed) {
			_ = http.NewResponseController(w).Flush() // net/http ends a connection whose goroutine ends
		}
	})
	return err
}

// ask judges a request of net/http and calls ShouldUpgrade.
func (v *service) ask(req *Request) (http.Header, error) {
	if err := v.judge(req.Request); err != nil {
		return nil, err
	}
	return v.decide(req)
}

// adopt takes the connection of a request that is to be upgraded.
func (s *Server) adopt(w http.ResponseWriter, r *http.Request, a *adoption) error {
	a.extra = withHeadersOf(w, a.extra)
	nc, buffered, err := hijack(w)
	if err != nil {
		a.req.life.end(err)
		return s.refuse(w, r, err)
	}
	a.buffered = buffered
	_ = nc.SetDeadline(time.Time{}) // net/http's own
	ws := newWebSocket(a.service.settings, a)
	if err := s.enroll(nc, (*handler)(ws)); err != nil {
		a.req.life.end(err)
		s.refusals.add(s.settings.log, err, a.req.Peer)
		_, _ = nc.Write(handshake.AppendRejection(nil, err, a.req.Method(), httpdate.Now())) // gone: nobody to tell
		_ = nc.Close()
		return err
	}
	return nil
}

// withHeadersOf returns what is to be added to the answer 101: extra, and what
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
// lock keeps Shutdown from saying goodbye to all in between.
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
	var passes *os.SyscallError
	if errors.As(err, &passes) || errors.Is(err, loop.ErrStopped) {
		return handshake.Reject(http.StatusServiceUnavailable, "connection cannot be taken over")
	}
	if _, ok := nc.(*tls.Conn); ok {
		return handshake.Reject(http.StatusNotImplemented,
			"a TLS connection can move to an event loop only if its listener is that of engine.NewTLSListener")
	}
	return handshake.Reject(http.StatusNotImplemented, "only a TCP or unix connection can move to an event loop")
}

// hijack takes the connection behind w, and what was read of it and not used.
func hijack(w http.ResponseWriter) (nc net.Conn, buffered []byte, err error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, &handshake.Rejection{
			Status: http.StatusNotImplemented,
			Reason: "this connection cannot become a WebSocket: HTTP/1.1 without middleware that hides it is needed",
			Cause:  err,
		}
	}
	buffered = make([]byte, rw.Reader.Buffered())
	_, _ = io.ReadFull(rw.Reader, buffered) // as much as there is
	return nc, buffered, nil
}

// refuse answers with err through net/http, as AppendRejection does on a loop, and
// returns it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	s.refusals.add(s.settings.log, err, &webPeer{addr: r.RemoteAddr})
	rejection := handshake.RejectionOf(err)
	for name, values := range rejection.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.Header().Set("Connection", "close")
	if upgrade := rejection.UpgradeTo(); upgrade != "" {
		w.Header().Add("Connection", "Upgrade") // RFC 9110 section 7.8
		w.Header().Set("Upgrade", upgrade)
	}
	reason := rejection.Reason
	if reason == "" {
		reason = http.StatusText(rejection.Status)
	}
	http.Error(w, reason, rejection.Status)
	return err
}

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
	ws.opening = u
	u.answer(ws, a.req, a.extra, nil, a.buffered)
}

func (a *adoption) data(*WebSocket, []byte) {}
func (a *adoption) timeout(*WebSocket)      {}
func (a *adoption) lost(_ *WebSocket, err error) {
	a.req.life.end(cmp.Or(err, ErrAbnormalClosure))
}
