package engine

import (
	"crypto/tls"
	"net/http"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/handshake"
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
	return &Request{Request: req, server: s, web: &httpRequest{r, time.Now()}}, nil
}

// ServeHTTP implements http.Handler. It makes a WebSocket of a request that net/http or a router
// received, and moves the connection to a loop. ShouldUpgrade runs on the goroutine of the
// request, OnUpgrade on the loop. An encrypted connection gets 501 unless its listener is that
// of [NewTLSListener]. A request that does not ask for a WebSocket gets 426, or
// 404 if it matches no pattern of Handle: Server.HTTP is not used here.
//
// The Shutdown of the net/http server does not close the WebSockets: call [Server.Shutdown] after it.
//
// Mount a Server where a router takes an http.Handler (http.ServeMux, chi). For gin use
// gin.WrapH, for echo echo.WrapHandler.
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

// ask judges a request of net/http and calls ShouldUpgrade. Without an error it is counted
// by enter.
func (v *service) ask(req *Request) (extra http.Header, err error) {
	if err := v.judge(req.Request); err != nil {
		return nil, err
	}
	if err := v.enter(); err != nil {
		return nil, err
	}
	accepted := false
	defer func() {
		if !accepted { // or ShouldUpgrade has not returned
			v.leave()
		}
	}()
	extra, err = v.decide(req)
	accepted = err == nil
	return extra, err
}

// refuse answers with err through net/http, as AppendRejection does on a loop, and
// returns it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	s.refusals.add(s.settings.log, err, &webPeer{addr: r.RemoteAddr})
	rejection := handshake.RejectionOf(err)
	for name := range rejection.Fields() { // in place of what a middleware has set
		w.Header().Del(name)
	}
	for name, value := range rejection.Fields() {
		w.Header().Add(name, value)
	}
	w.Header().Set("Connection", "close")
	if upgrade := rejection.UpgradeTo(); upgrade != "" {
		w.Header().Add("Connection", "Upgrade") // RFC 9110 section 7.8
		w.Header().Set("Upgrade", upgrade)
	}
	http.Error(w, strings.TrimSuffix(rejection.Text(), "\n"), rejection.Status)
	return err
}

// Upgrade makes a WebSocket of a request in a handler of net/http, as [Server.ServeHTTP] does, by
// the rules of e; nil means the fields of s. It does not use the patterns of Handle. Make e once
// and not for each request.
//
// It always answers the request. nil means that the connection moves to a loop, where OnUpgrade
// is called; an error says why the request was refused. Do not use w afterwards: return.
//
// A request for a WebSocket that arrives at a listener of s itself does not go to Server.HTTP:
// use Handle for those.
func (s *Server) Upgrade(w http.ResponseWriter, r *http.Request, e *Endpoint) error {
	if err := s.ready(w); err != nil {
		return err
	}
	req, err := s.fromHTTP(r)
	if err != nil {
		return s.refuse(w, r, err)
	}
	v, err := s.serviceOf(e)
	if err != nil {
		return s.refuse(w, r, &unusableEndpoint{err})
	}
	return s.upgrade(w, r, req, v)
}
