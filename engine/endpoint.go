package engine

import (
	"cmp"
	"net/http"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/internal/headcount"
	"github.com/fanloop-go/fanloop/handshake"
)

// Endpoint serves some requests of a [Server]: those that match a pattern ([Server.Handle]), or
// that a handler passes on ([Server.Upgrade]). Its fields mean what the fields of Server with the
// same names mean. Its connections are on the same loops, in the same topics, and count for the
// same MaxConnections and MaxMemory.
//
// It inherits only Limits and Slow from the Server. Without a ShouldUpgrade of its own it accepts
// every request that its Origin allows, whatever the ShouldUpgrade of the Server does; without
// an Origin of its own that is handshake.SameHost.
//
// Do not change or copy it once it is in use.
type Endpoint struct {
	ShouldUpgrade   func(req *Request) (http.Header, error)
	OnUpgrade       func(ws *WebSocket, req *Request)
	BlockingUpgrade bool
	Callbacks       Callbacks
	Origin          handshake.OriginPolicy
	Subprotocols    []string
	// Compression agrees on permessage-deflate with clients that offer it. Published messages
	// are compressed from the smallest Threshold that the Server and the endpoints of Handle
	// have.
	Compression *Compression
	// Limits overrides those limits of the Server whose fields are not 0. HighWater, LowWater
	// and PongTimeout of the Server give way as in [WebSocket.SetLimits]. Leave MaxHead,
	// MaxHeaders, HandshakeTimeout, MaxMemory and MaxConnections 0: they apply before the
	// endpoint is known, or to the whole server.
	Limits Limits
	// MaxConnections bounds the connections of this endpoint, from a request that Origin
	// allows to the end of its connection. Beyond it a request gets 503. Default: off. The
	// connections count for Limits.MaxConnections of the Server too. Several patterns and
	// servers with this endpoint share it.
	MaxConnections int
	// Slow is the policy for topics that have none of their own. The zero value means that of
	// the Server.
	Slow Slow

	service atomic.Pointer[service] // for the server that used it last
	conns   headcount.Count         // within MaxConnections; unused without
}

// service is an Endpoint as a Server uses it. Immutable.
type service struct {
	*Endpoint
	server   *Server
	settings *settings
}

// own returns the fields of s as an Endpoint.
func (s *Server) own() *Endpoint {
	return &Endpoint{
		ShouldUpgrade:   s.ShouldUpgrade,
		OnUpgrade:       s.OnUpgrade,
		BlockingUpgrade: s.BlockingUpgrade,
		Callbacks:       s.Callbacks,
		Origin:          s.Origin,
		Subprotocols:    s.Subprotocols,
		Compression:     s.Compression,
		Slow:            s.Slow,
	}
}

// serviceOf returns e as s uses it, made at its first use; nil stands for the fields of
// s. The error is an *OptionError. Any goroutine, once s is up.
func (s *Server) serviceOf(e *Endpoint) (*service, error) {
	if e == nil {
		return s.service, nil
	}
	if v := e.service.Load(); v != nil && v.server == s {
		return v, nil
	}
	var m mistakes
	e.check(&m, s.settings.asked)
	if err := m.err(); err != nil {
		return nil, err
	}
	v := s.newService(e)
	e.service.Store(v)
	return v, nil
}

func (s *Server) newService(e *Endpoint) *service {
	base := s.settings
	set := *base
	set.latest = new(atomic.Pointer[settings])
	set.setBounds(e.Limits.over(base.asked))
	set.callbacks = e.Callbacks
	set.compressor = newCompressor(e.Compression, &set, &s.deflated)
	set.setSlow(cmp.Or(e.Slow, base.slowAsked))
	if e.MaxConnections > 0 {
		set.onEnd = func() { e.leave(); base.onEnd() }
	}
	return &service{Endpoint: e, server: s, settings: &set}
}

// check finds mistakes in e, of a server with these limits.
func (e *Endpoint) check(m *mistakes, server Limits) {
	all := e.Limits.over(server)
	e.Limits.checkOwn(m, all)
	all = all.WithDefaults()
	e.Slow.check(m, &all)
	e.Compression.check(m)
	canBeOff(m, "Endpoint.MaxConnections", e.MaxConnections)
	checkSubprotocols(m, "Endpoint.Subprotocols", e.Subprotocols)
}

// checkSubprotocols finds subprotocols that cannot be sent.
func checkSubprotocols(m *mistakes, field string, names []string) {
	for _, name := range names {
		if !handshake.ValidSubprotocol(name) {
			m.add(field, name, "a subprotocol is a token: letters, digits and !#$%%&'*+-.^_`|~")
		}
	}
}

// judge returns why a request may not become a WebSocket of v; nil if it may.
func (v *service) judge(req *handshake.Request) error {
	if err := req.CheckUpgrade(); err != nil {
		return err
	}
	if !v.callOrigin(req) {
		return handshake.Reject(http.StatusForbidden, "origin not allowed")
	}
	return nil
}

// enter counts a connection of e, until onEnd of its settings is called or leave is. The
// error is a *Rejection.
func (e *Endpoint) enter() error {
	if e.MaxConnections > 0 && e.conns.Enter(e.MaxConnections, 0) != headcount.Taken {
		return handshake.Reject(http.StatusServiceUnavailable, "too many connections here")
	}
	return nil
}

// leave ends what enter began.
func (e *Endpoint) leave() {
	if e.MaxConnections > 0 {
		e.conns.Leave()
	}
}

// begin makes v what ws, which is not open yet, belongs to. On the loop.
func (v *service) begin(ws *WebSocket) {
	if ws.settings() != v.settings {
		ws.goBy(v.settings)
		ws.callbacks = &v.settings.callbacks
	}
}
