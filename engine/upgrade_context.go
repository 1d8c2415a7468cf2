package engine

import (
	"context"
	"sync"
	"time"
)

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
// ran, whatever that returned; nil: it has not, or Context was not called.
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
	ctx    context.Context // nil: it was not asked for
	cancel context.CancelCauseFunc
	ended  error // why; nil: it has not ended
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
