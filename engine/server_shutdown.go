package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// Shutdown is ShutdownWith 1001 (going away).
func (s *Server) Shutdown(ctx context.Context) error {
	return s.ShutdownWith(ctx, StatusGoingAway, "server is shutting down")
}

// ShutdownWith ends the server in order. It stops listening, closes every connection with code
// and reason, waits until the peers have answered and what [WebSocket.Go] runs has returned,
// and ends the loops. Use StatusServiceRestart to have clients come back soon. Requests that
// HTTP serves are finished. A connection that a handler hijacked is the handler's to close.
//
// When ctx is done it drops the connections that are left, and returns why. It waits one second
// more for callbacks that run; then it leaves them behind, and Done waits for them.
//
// ErrInvalidStatus means that code may not be sent; nothing was done. ErrInCallback means that
// it would wait for its caller: call it on a goroutine of its own. Do so too in a handler of
// HTTP and in what WebSocket.Go runs, where it is not noticed.
func (s *Server) ShutdownWith(ctx context.Context, code StatusCode, reason string) error {
	if !mayClose(code) {
		return ErrInvalidStatus
	}
	if s.inCallback() {
		return ErrInCallback
	}
	if !s.stopListening(ctx) {
		return nil
	}
	var webErr error
	webDone := make(chan struct{})
	go func() {
		defer close(webDone)
		webErr = s.web.shutdown(ctx)
	}()
	for _, l := range s.group.Loops() {
		_ = l.Do(func() { // ended: nothing to close
			l.Each(func(c *loop.Conn) { closeInOrder(c, closeFrame{code, reason}) })
		})
	}
	s.mu.Lock()
	s.checkDrainedLocked()
	s.mu.Unlock()
	var err error
	select {
	case <-s.drained:
	case <-ctx.Done():
		err = fmt.Errorf("engine: shutdown dropped %s: %w", counted(s.conns.All(), "connection"), context.Cause(ctx))
		s.web.dropHijacked()
	}
	<-webDone
	if err == nil {
		err = s.goroutines.wait(ctx)
	}
	grace, cancel := graceAfter(ctx)
	defer cancel()
	return errors.Join(err, webErr, s.stop(grace))
}

// closeInOrder closes one connection in order. Loop only.
func closeInOrder(c *loop.Conn, f closeFrame) {
	h, ok := c.Handler().(*handler)
	if !ok {
		return
	}
	ws := (*WebSocket)(h)
	if u, ok := ws.upgrade(); ok && u.question != nil {
		u.reject(ws, errShuttingDown)
		return
	}
	if ws.opening != nil {
		ws.conn.Close(loop.CloseNow)
		return
	}
	ws.closeFor(CauseShutdown, f)
}

// stopGrace is how long after its deadline Shutdown waits for loops that have
// only to drop what is left.
const stopGrace = time.Second

// graceAfter returns a context that is done stopGrace after ctx is.
func graceAfter(ctx context.Context) (context.Context, context.CancelFunc) {
	grace, cancel := context.WithCancelCause(context.Background())
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(stopGrace, func() { cancel(fmt.Errorf("%w: %w", errCallbackRuns, context.Cause(ctx))) })
	})
	return grace, func() { stop(); cancel(nil) }
}

var errCallbackRuns = errors.New("a callback still runs; move slow work off the loops, and end that of ShouldUpgrade with Request.Context")

// Close drops all connections and ends the server. It waits for callbacks that run, including
// ShouldUpgrade. In a callback it returns ErrInCallback and does nothing.
func (s *Server) Close() error {
	if s.inCallback() {
		return ErrInCallback
	}
	ctx := context.Background()
	if !s.stopListening(ctx) {
		return nil
	}
	return errors.Join(s.web.close(), s.stop(ctx))
}

// stop ends the loops and waits for done.
func (s *Server) stop(ctx context.Context) error {
	if err := fromLoop(s.group.Stop(ctx)); err != nil {
		return err
	}
	select {
	case <-s.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("engine: stop: %w", context.Cause(ctx))
	}
}

// stopListening returns when no loop accepts any more, or ctx is done; false if
// there are no loops, and will not be.
func (s *Server) stopListening(ctx context.Context) bool {
	s.start.Do(func() { s.startErr = ErrServerClosed; s.ended() })
	if s.startErr != nil {
		return false
	}
	s.mu.Lock()
	listeners := s.listeners
	s.listeners, s.closing = nil, true
	s.mu.Unlock()
	s.cancel(ErrServerClosed)
	s.upgradeCalls.close()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for _, ln := range listeners {
			ln.close()
		}
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
	return true
}

// inCallback reports whether the caller is in a callback that the end of the server
// waits for: on a loop, on a worker of Dispatch, or in ShouldUpgrade elsewhere.
func (s *Server) inCallback() bool {
	return s.inConfigureHTTP() || s.up.Load() && (s.group.InCallback() || s.settings.dispatcher.inCallback() || s.upgradeCalls.inCallback())
}

// forget counts a connection that ended or went elsewhere.
func (s *Server) forget() {
	if s.conns.Leave() > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkDrainedLocked()
}

func (s *Server) checkDrainedLocked() {
	if !s.closing || s.conns.All() > 0 {
		return
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
}

// Done returns a channel that is closed when the server has ended: after
// Shutdown or Close, when every connection is closed and every callback has returned.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doneLocked()
}

func (s *Server) doneLocked() chan struct{} {
	if s.done == nil {
		s.done = make(chan struct{})
	}
	return s.done
}

// ended closes Done.
func (s *Server) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.doneLocked())
	if s.cancel != nil {
		s.cancel(ErrServerClosed)
	}
}

// isClosing reports whether Shutdown or Close was called.
func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}
