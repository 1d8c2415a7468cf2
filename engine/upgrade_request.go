package engine

import (
	"context"
	"crypto/tls"
	"net/http"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/handshake"
)

// Request is the request of a WebSocket, as ShouldUpgrade and OnUpgrade get it. It has
// what the parser found, such as Path, Query, Header and Cookie, and how it came.
// ShouldUpgrade may set the other fields, for this connection alone. It may be kept.
type Request struct {
	*handshake.Request // never changes

	// Value is attached to the WebSocket, as [Set] does: the user, or what a token
	// claims.
	Value any
	// Subprotocol is agreed instead of the one that Subprotocols of the endpoint
	// lead to. It has to be one that the client offers; otherwise the request is
	// refused with 500, and the log says so. Empty: as the endpoint has it.
	Subprotocol string
	// NoCompression declines the client's offers of compression.
	NoCompression bool
	// Limits replaces those limits of the endpoint whose fields are not 0, from the
	// first frame on, as [WebSocket.SetLimits] does later. nil: none.
	Limits *Limits
	// Callbacks replaces all callbacks of the endpoint. It is shared and not
	// copied: connections may have the same, and nobody may change it. nil: the
	// endpoint's.
	Callbacks *Callbacks
	// Slow replaces the policy for what is published, as [WebSocket.SetSlow] does
	// later. nil: that of the topic or the endpoint.
	Slow *Slow

	server  *Server
	web     *http.Request // nil: it did not come through net/http
	arrived time.Time     // of web
	matched *http.Request // that led to the endpoint, by a pattern of Handle; nil: none did
	life    lifetime
}

// HTTP returns the request as net/http received it. It is nil unless it came through
// [Server.ServeHTTP] or [Server.Upgrade].
func (r *Request) HTTP() *http.Request { return r.web }

// PathValue returns what the named wildcard of the pattern matched that led to this
// request, as [http.Request.PathValue] does; "" if there is none.
func (r *Request) PathValue(name string) string {
	for _, by := range []*http.Request{r.matched, r.web} {
		if by != nil {
			return by.PathValue(name)
		}
	}
	return ""
}

// TLS returns what [WebSocket.TLS] will return. It is nil if the request came
// without TLS or its connection has ended. Do not change it. Any goroutine.
func (r *Request) TLS() *tls.ConnectionState {
	if p, ok := r.Peer.(interface{ TLS() *tls.ConnectionState }); ok {
		return p.TLS()
	}
	return nil
}

// Context returns a context for what ShouldUpgrade asks of others. It is cancelled when
// the client is gone, when Limits.HandshakeTimeout has passed, when the server shuts
// down, and when the opening handshake is over, after OnUpgrade at the latest;
// context.Cause says why. It is derived from the context of the http.Request, if there
// is one.
//
// A client that sent much behind its request before it left is noticed within a second
// on Linux, and elsewhere at the deadline. So it is if the request came through
// net/http, which notices only that a client left that sent nothing behind it.
//
// While ShouldUpgrade runs on a loop, only the end of the server is noticed: set
// BlockingUpgrade. Any goroutine.
func (r *Request) Context() context.Context {
	switch {
	case r.web != nil:
		deadline := r.arrived.Add(r.server.settings.limits.HandshakeTimeout)
		return r.life.context(r.web.Context(), deadline, r.server.ctx)
	case r.server != nil:
		return r.life.context(r.server.ctx, time.Time{}, nil)
	}
	return r.life.context(context.Background(), time.Time{}, nil)
}

// late is what a request is refused with whose context has ended while ShouldUpgrade
// ran, whatever that returned; nil: it has not, or nobody asked for it.
func (r *Request) late() error {
	switch r.life.cause() {
	case ErrHandshakeTimeout:
		return errTooLate
	case ErrServerClosed:
		return errShuttingDown
	}
	return nil
}

// lifetime is the context of a request. It is made when it is asked for, and ends with
// the opening handshake.
type lifetime struct {
	mu     sync.Mutex
	ctx    context.Context // nil: nobody has asked for it
	cancel context.CancelCauseFunc
	ended  error // why; nil: it goes on
}

// context returns the context. It has a deadline unless that is zero, and ends with
// server, too, unless that is nil.
func (l *lifetime) context(parent context.Context, deadline time.Time, server context.Context) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx != nil {
		return l.ctx
	}
	stop := func() {}
	if !deadline.IsZero() {
		parent, stop = context.WithDeadlineCause(parent, deadline, ErrHandshakeTimeout)
	}
	ctx, cancel := context.WithCancelCause(parent)
	unbind := func() bool { return true }
	if server != nil {
		unbind = context.AfterFunc(server, func() { cancel(context.Cause(server)) })
	}
	l.ctx, l.cancel = ctx, func(cause error) { cancel(cause); stop(); unbind() }
	if l.ended != nil {
		l.cancel(l.ended)
	}
	return l.ctx
}

// end cancels the context; the first cause counts.
func (l *lifetime) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == nil {
		l.ended = cause
	}
	if l.cancel != nil {
		l.cancel(cause)
	}
}

func (l *lifetime) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		return nil
	}
	return context.Cause(l.ctx)
}
