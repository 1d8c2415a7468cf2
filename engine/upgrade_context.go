package engine

import (
	"context"
	"sync/atomic"
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
		deadline := r.web.arrived.Add(r.server.settings.limits.HandshakeTimeout)
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
	state atomic.Pointer[contextState] // nil: it was not asked for and has not ended
}

// contextState is a context that was asked for, or the end of one that was not.
type contextState struct {
	ctx    context.Context         // nil: it was not asked for
	cancel context.CancelCauseFunc // of ctx
	ended  error                   // why; nil: it has not ended, or ctx knows. Immutable
}

// overState is the end of most: that of a handshake that became a WebSocket.
var overState = &contextState{ended: errHandshakeOver}

// context returns the context. It has a deadline unless that is zero, and ends with
// server, too, unless that is nil.
func (l *lifetime) context(parent context.Context, deadline time.Time, server context.Context) context.Context {
	for {
		before := l.state.Load()
		if before != nil && before.ctx != nil {
			return before.ctx
		}
		now := newContext(parent, deadline, server)
		if before != nil {
			now.cancel(before.ended)
		}
		if l.state.CompareAndSwap(before, now) {
			return now.ctx
		}
		now.cancel(context.Canceled) // nobody has seen it
	}
}

func newContext(parent context.Context, deadline time.Time, server context.Context) *contextState {
	stop := func() {}
	if !deadline.IsZero() {
		parent, stop = context.WithDeadlineCause(parent, deadline, ErrHandshakeTimeout)
	}
	ctx, cancel := context.WithCancelCause(parent)
	unbind := func() bool { return true }
	if server != nil {
		unbind = context.AfterFunc(server, func() { cancel(context.Cause(server)) })
	}
	return &contextState{ctx: ctx, cancel: func(cause error) { cancel(cause); stop(); unbind() }}
}

// end cancels the context; the first cause counts.
func (l *lifetime) end(cause error) {
	end := overState
	if cause != errHandshakeOver {
		end = &contextState{ended: cause}
	}
	if s := l.state.Load(); s == nil && l.state.CompareAndSwap(nil, end) {
		return
	}
	if s := l.state.Load(); s.ctx != nil {
		s.cancel(cause)
	}
}

func (l *lifetime) cause() error {
	if s := l.state.Load(); s != nil && s.ctx != nil {
		return context.Cause(s.ctx)
	}
	return nil
}
