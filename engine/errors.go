package engine

import (
	"errors"
	"fmt"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

var (
	// ErrClosed is returned by sends after the connection was closed by either
	// side. Nothing was sent; do not send again.
	ErrClosed = loop.ErrClosed
	// ErrBackpressure is returned by sends that would queue more than
	// Limits.MaxQueued. Nothing was sent: wait for OnDrain, or drop it. A publish
	// returns it if a loop is behind: the subscribers of other loops get the message.
	ErrBackpressure = loop.ErrBackpressure
	// ErrServerClosed is returned by ListenAndServe and Serve after Shutdown or
	// Close.
	ErrServerClosed = errors.New("engine: server closed")
	// ErrInCallback is returned by what would wait for the callback that it is
	// called in, for ever: Close, Shutdown, ListenAndServe and Serve of a Server, and
	// Dial with the Group of the callback's loop. Nothing was done. Call it on a
	// goroutine of its own: go srv.Shutdown(ctx).
	ErrInCallback = loop.ErrInCallback
	// ErrFragmentOpen is returned by Send while a message begun by SendFragment
	// is not finished, and by SendFragment for a fragment that fits no message.
	ErrFragmentOpen = errors.New("engine: a fragmented message is under way; finish it first")
	// ErrInvalidStatus is returned by Close for a code that may not stand in a
	// close frame (RFC 6455 section 7.4).
	ErrInvalidStatus = errors.New("engine: status code may not be sent; use 1000-1003, 1007-1014 or 3000-4999")
	// ErrControlTooLong is returned by Ping for more than 125 bytes (RFC 6455
	// section 5.5).
	ErrControlTooLong = errors.New("engine: a ping carries at most 125 bytes")
	// ErrNotData is returned by Send for an OpCode other than Text and Binary.
	ErrNotData = errors.New("engine: send Text or Binary; for others there are Ping and Close")
)

// Causes of a connection's end, as Err tells them.
var (
	// ErrAbnormalClosure: the peer ended the connection without a close frame
	// (RFC 6455 section 7.1.5, code 1006).
	ErrAbnormalClosure = errors.New("engine: the peer ended the connection without a close frame")
	// ErrPongTimeout: the peer did not answer a ping within Limits.PongTimeout.
	ErrPongTimeout = errors.New("engine: no pong in time; the peer or the network is gone")
	// ErrIdleTimeout: no message came for Limits.IdleTimeout.
	ErrIdleTimeout = errors.New("engine: no message within the idle timeout")
	// ErrCloseTimeout: the peer did not answer a close frame within
	// Limits.CloseTimeout.
	ErrCloseTimeout = errors.New("engine: the peer did not finish the closing handshake in time")
	// ErrWriteTimeout: the peer took less than 1 KiB in Limits.WriteTimeout. A handler of
	// Server.HTTP that writes gets it too, with os.ErrDeadlineExceeded.
	ErrWriteTimeout = errors.New("engine: the peer reads too slowly")
	// ErrReadTimeout: the peer sent too little of a message it had begun for
	// Limits.ReadTimeout. A handler of Server.HTTP that reads a body gets it too, with
	// os.ErrDeadlineExceeded.
	ErrReadTimeout = errors.New("engine: the peer does not finish its message")
	// ErrSlow: more than Slow.Limit waited for a subscriber, and its policy is
	// SlowClose.
	ErrSlow = errors.New("engine: the subscriber reads too slowly for what is published")
	// ErrOverload: Limits.MaxMemory was reached, and this connection held much of
	// it.
	ErrOverload = errors.New("engine: the memory for what waits is spent; the connections that hold most are dropped")
	// ErrHandshakeTimeout: the opening handshake took longer than
	// Limits.HandshakeTimeout.
	ErrHandshakeTimeout = errors.New("engine: the opening handshake took too long")
)

// errControlFlood is the limit Limits.MaxControlRate.
var errControlFlood = &codec.ProtocolError{Code: codec.StatusPolicyViolation, Reason: "too many control frames"}

// URLError is a URL that Dial cannot use, whatever answers there.
type URLError struct {
	URL string // without user and password; empty if it cannot be told from them
	Err error  // what is wrong with it
}

func (e *URLError) Error() string {
	if e.URL == "" {
		return fmt.Sprintf("engine: dial: %v", e.Err)
	}
	return fmt.Sprintf("engine: dial %q: %v", e.URL, e.Err)
}

// Unwrap returns what is wrong with the URL.
func (e *URLError) Unwrap() error { return e.Err }

// PanicError is a callback that did not return: it panicked, or it called
// runtime.Goexit, as FailNow of a testing.T does. Only its connection is closed,
// with 1011, or its request refused with 500.
type PanicError = loop.PanicError

// Reject makes the error with which ShouldUpgrade refuses a request: an HTTP
// status of 300 to 599 and a text that the peer sees.
func Reject(status int, reason string) error { return handshake.Reject(status, reason) }

// counted is n of something, as errors say it.
func counted[T int | int64](n T, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
