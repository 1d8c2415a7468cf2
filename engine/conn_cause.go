package engine

import (
	"errors"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// CloseCause is why a connection ended. Use it as a label for metrics: every end has exactly
// one. Err returns the same as an error, with details.
type CloseCause uint8

const (
	// CauseNone: the connection has not ended.
	CauseNone CloseCause = iota

	// CauseNormal: the peer closed with 1000, or without a code.
	CauseNormal
	// CauseGoingAway: the peer closed with 1001, as a browser that leaves the page does.
	CauseGoingAway
	// CausePeerError: the peer closed with another code, which CloseStatus returns.
	CausePeerError
	// CausePeerGone: the peer ended TCP or TLS without a close frame, or the network
	// failed.
	CausePeerGone

	// CauseClosed: Close was called here, and the peer answered.
	CauseClosed
	// CauseExpired: the time of CloseAt came, and the peer answered.
	CauseExpired
	// CauseDropped: CloseNow was called here.
	CauseDropped
	// CauseShutdown: Shutdown closed the connection and the peer answered, or the
	// server or the loops ended first.
	CauseShutdown
	// CausePanic: a callback panicked or called runtime.Goexit.
	CausePanic
	// CauseFailed: Fail was called here, with 1011 or an error that is not of this
	// package. A handler of package pull that returns an error does so.
	CauseFailed

	// CauseProtocolError: the peer broke the protocol (1002, 1003, 1007).
	CauseProtocolError
	// CausePolicy: the peer exceeded Limits.MaxFragments or MaxControlRate, or broke a rule
	// of the program (1008).
	CausePolicy
	// CauseTooBig: the peer exceeded Limits.MaxMessage or Compression.MaxRatio (1009).
	CauseTooBig

	// CausePongTimeout: ErrPongTimeout.
	CausePongTimeout
	// CauseIdleTimeout: ErrIdleTimeout.
	CauseIdleTimeout
	// CauseReadTimeout: ErrReadTimeout.
	CauseReadTimeout
	// CauseWriteTimeout: ErrWriteTimeout.
	CauseWriteTimeout
	// CauseCloseTimeout: ErrCloseTimeout, whoever began to close.
	CauseCloseTimeout

	// CauseSlow: ErrSlow.
	CauseSlow
	// CauseOverload: ErrOverload.
	CauseOverload

	causes // how many there are
)

var causeNames = [causes]string{
	"none", "normal", "going away", "peer error", "peer gone",
	"closed", "expired", "dropped", "shutdown", "panic", "failed",
	"protocol error", "policy", "too big",
	"pong timeout", "idle timeout", "read timeout", "write timeout", "close timeout",
	"slow", "overload",
}

// String returns the name of c, such as "pong timeout".
func (c CloseCause) String() string {
	if c >= causes {
		return "unknown"
	}
	return causeNames[c]
}

// Cause returns why the connection has ended or is about to; CauseNone while it is open. Call
// it in OnError or OnClose. Any goroutine.
func (ws *WebSocket) Cause() CloseCause {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	why, _ := ws.causeLocked()
	return why
}

// Err returns why the connection has ended or is about to. It is nil while the connection is
// open, and after a closing handshake. Otherwise it is a *ProtocolError if the peer broke the
// protocol or a limit, a *PanicError, what Fail was given, or an error of this package;
// ErrAbnormalClosure wraps what the network reported. Use Cause for metrics. Any goroutine.
func (ws *WebSocket) Err() error {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	_, err := ws.causeLocked()
	return err
}

// causeLocked returns why the connection has ended or is about to. What was only asked for
// is followed by OnError.
func (ws *WebSocket) causeLocked() (CloseCause, error) {
	switch s, e := ws.out.State(), ws.knownEndingLocked(); {
	case e != nil && e.err != nil:
		return e.why, e.err
	case s.Asked(outlet.AskRelief):
		return CauseOverload, ErrOverload
	case s.Asked(outlet.AskShed):
		return CauseSlow, ErrSlow
	case s.Asked(outlet.AskFail):
		return e.why, e.failure
	case e == nil || s.Phase() < outlet.Answering:
		return CauseNone, nil
	case e.why != CauseNone:
		return e.why, nil
	default:
		return causeOfStatus(e.status.code), nil
	}
}

// causeOfStatus is the cause of an end by a closing handshake that the peer began.
func causeOfStatus(code StatusCode) CloseCause {
	switch code {
	case StatusNormalClosure, StatusNoStatusRcvd:
		return CauseNormal
	case StatusGoingAway:
		return CauseGoingAway
	}
	return CausePeerError
}

// causeErrors are the causes that have one error.
var causeErrors = [causes]error{
	CausePeerGone:     ErrAbnormalClosure,
	CauseDropped:      ErrClosed,
	CauseShutdown:     ErrServerClosed,
	CausePongTimeout:  ErrPongTimeout,
	CauseIdleTimeout:  ErrIdleTimeout,
	CauseReadTimeout:  ErrReadTimeout,
	CauseWriteTimeout: ErrWriteTimeout,
	CauseCloseTimeout: ErrCloseTimeout,
	CauseSlow:         ErrSlow,
	CauseOverload:     ErrOverload,
}

// closeCauseOf is the cause that goes with err.
func closeCauseOf(err error) CloseCause {
	for c, known := range causeErrors {
		if known != nil && errors.Is(err, known) {
			return CloseCause(c)
		}
	}
	if errors.Is(err, loop.ErrStopped) { // of a client
		return CauseShutdown
	}
	if broken, ok := errors.AsType[*ProtocolError](err); ok {
		return causeOfRule(broken.Code)
	}
	if _, ok := errors.AsType[*PanicError](err); ok {
		return CausePanic
	}
	return CauseFailed
}

// causeOfRule is the cause that goes with a rule which the peer broke.
func causeOfRule(code StatusCode) CloseCause {
	switch code {
	case StatusPolicyViolation:
		return CausePolicy
	case StatusMessageTooBig:
		return CauseTooBig
	}
	return CauseProtocolError
}

// causeCounts counts connections that ended.
type causeCounts [causes]atomic.Uint64

// counts returns those that are not 0.
func (c *causeCounts) counts() map[CloseCause]uint64 {
	m := make(map[CloseCause]uint64)
	for cause := range c {
		if n := c[cause].Load(); n > 0 {
			m[CloseCause(cause)] = n
		}
	}
	return m
}
