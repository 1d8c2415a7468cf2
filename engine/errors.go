package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// Errors of methods. Nothing was done, unless the comment says more.
var (
	// ErrClosed is returned by sends after either side has begun to close the
	// connection. Do not send again. Err returns it after CloseNow.
	ErrClosed = errors.New("engine: the connection is closed or closing; stop sending")
	// ErrBackpressure is returned by sends that would queue more than Limits.MaxQueued. Send
	// again in OnDrain, or drop the message. A publish returns it if a loop is behind: its
	// subscribers miss the message, subscribers of other loops get it. Do not publish it
	// again.
	ErrBackpressure = errors.New("engine: the queue is full, because the peer or its loop is behind; wait for OnDrain or drop the message")
	// ErrFragmentOpen is returned by Send while a message begun by SendFragment is
	// unfinished, and by SendFragment for a fragment that fits no message.
	ErrFragmentOpen = errors.New("engine: a fragmented message is under way; finish it first")
	// ErrInvalidStatus is returned by Close for a code that a close frame must not
	// carry (RFC 6455 section 7.4).
	ErrInvalidStatus = errors.New("engine: status code may not be sent; use 1000-1003, 1007-1014 or 3000-4999")
	// ErrControlTooLong is returned by Ping for more than 125 bytes (RFC 6455
	// section 5.5).
	ErrControlTooLong = errors.New("engine: a ping carries at most 125 bytes; send the rest as a message")
	// ErrNotData is returned by Send for an OpCode other than Text and Binary.
	ErrNotData = errors.New("engine: send Text or Binary; for others there are Ping and Close")
	// ErrNoTopics is returned by the topic methods of a connection made by Dial:
	// topics belong to a Server.
	ErrNoTopics = errors.New("engine: a dialed connection has no topics; subscribe on the server's side")
	// ErrRetained is returned by a publish with Retain if its topic would keep more than
	// Server.MaxRetained, all topics more than a quarter of Limits.MaxMemory, or this message
	// alone more than a quarter of a loop's part of it. No subscriber gets the message.
	ErrRetained = errors.New("engine: no room to retain the message; remove retained messages, or raise Server.MaxRetained or Limits.MaxMemory")
	// ErrRelay is wrapped by the error of a publish that reached the subscribers of this
	// server only, because Server.Relay refused it. The error also wraps the reason. A second
	// publish would reach them twice.
	ErrRelay = errors.New("engine: published to the subscribers of this server alone; see the reason why Server.Relay refused it")
	// ErrInCallback is returned by methods that would wait for ever, because they wait for the
	// callback that calls them: Close, Shutdown, ListenAndServe and Serve of a Server, and Dial
	// with the Group of the callback's loop. Call them on a goroutine of their own: go
	// srv.Shutdown(ctx).
	ErrInCallback = errors.New("engine: called in a callback that it would wait for; call it on a goroutine of its own")
	// ErrServerClosed is returned by ListenAndServe and Serve after Shutdown or
	// Close. It is that of net/http.
	ErrServerClosed = http.ErrServerClosed
)

// Causes of a connection's end, as Err returns them.
var (
	// ErrAbnormalClosure: the peer ended the connection without a close frame
	// (RFC 6455 section 7.1.5, code 1006).
	ErrAbnormalClosure = errors.New("engine: the peer ended the connection without a close frame; it crashed, or the network failed")
	// ErrPongTimeout: the peer gave no sign of life within Limits.PongTimeout after a
	// ping.
	ErrPongTimeout = errors.New("engine: no pong within Limits.PongTimeout; the peer or the network is gone")
	// ErrIdleTimeout: no message came for Limits.IdleTimeout.
	ErrIdleTimeout = errors.New("engine: no message within Limits.IdleTimeout; send something more often, or raise it")
	// ErrCloseTimeout: the peer did not answer a close frame within
	// Limits.CloseTimeout, or before it had sent more than that allows.
	ErrCloseTimeout = errors.New("engine: the peer did not finish the closing handshake within Limits.CloseTimeout; it hangs or is gone")
	// ErrWriteTimeout: the peer took less than 1 KiB within Limits.WriteTimeout. A
	// handler of Server.HTTP that writes gets it too, with os.ErrDeadlineExceeded.
	ErrWriteTimeout = errors.New("engine: the peer took less than 1 KiB within Limits.WriteTimeout; it hangs, or raise the limit")
	// ErrReadTimeout: the peer sent less than 1 KiB of an unfinished message within
	// Limits.ReadTimeout. A handler of Server.HTTP that reads a body gets it too, with
	// os.ErrDeadlineExceeded.
	ErrReadTimeout = errors.New("engine: the peer did not go on with its message within Limits.ReadTimeout; it hangs, or raise the limit")
	// ErrSlow: more than Slow.Limit waited for a subscriber, and its policy is
	// SlowClose.
	ErrSlow = errors.New("engine: the subscriber reads too slowly for what is published; publish less, or raise Slow.Limit")
	// ErrOverload: Limits.MaxMemory was reached, and this connection held much of
	// it.
	ErrOverload = errors.New("engine: Limits.MaxMemory is spent and this connection held much of it; send less, or raise the limit")
)

// Errors of Dial and DialReconnecting.
var (
	// ErrHandshakeTimeout: the opening handshake took longer than
	// Limits.HandshakeTimeout.
	ErrHandshakeTimeout = errors.New("engine: the opening handshake took longer than Limits.HandshakeTimeout; try again later, or raise it")
	// ErrNoAnswer is returned by Dial when the server ended the connection before it
	// answered anything. The text says what to try.
	ErrNoAnswer = errors.New("engine: the server ended the connection without an answer; check the scheme and the port of the URL")
	// ErrNeedsTLS is returned by Dial when the server of a ws URL answers as one that
	// speaks TLS.
	ErrNeedsTLS = errors.New("engine: the server speaks TLS; dial wss:// instead of ws://")
	// ErrNotTLS is returned by Dial when the server of a wss URL does not answer by
	// TLS.
	ErrNotTLS = errors.New("engine: the server does not speak TLS on this port; dial ws:// instead of wss://, or another port")
	// ErrTooManyRedirects is returned by Dial after DialOptions.MaxRedirects
	// redirects. It comes with the *StatusError of the last one.
	ErrTooManyRedirects = errors.New("engine: too many redirects; dial the last address, or raise DialOptions.MaxRedirects")
	// ErrInsecureRedirect is returned by Dial when a server of a wss URL redirects to
	// a ws URL. It comes with the *StatusError.
	ErrInsecureRedirect = errors.New("engine: the server redirects from wss to ws, which is refused; dial the ws URL if you mean it")
	// ErrNotConnected is returned by sends of a ReconnectingClient that has no connection at
	// the moment. Nothing is kept: send again from OnConnect if it still matters then.
	ErrNotConnected = errors.New("engine: not connected at the moment; send again from OnConnect")
	// ErrGaveUp is wrapped by Err of a ReconnectingClient when ReconnectPolicy.MaxAttempts or
	// MaxElapsed is used up, with the last error.
	ErrGaveUp = errors.New("engine: gave up reconnecting; see the last error, and dial again when its cause is gone")
)

// errControlFlood is the limit Limits.MaxControlRate.
var errControlFlood = &codec.ProtocolError{Code: codec.StatusPolicyViolation, Reason: "too many control frames"}

// ProtocolError is a rule of RFC 6455 that the peer broke, or a limit that it exceeded, with the
// status code that was sent to it.
type ProtocolError = codec.ProtocolError

// StatusError is the answer of a server that refuses the opening handshake.
type StatusError = handshake.StatusError

// PanicError is a callback that panicked or called runtime.Goexit, as FailNow of a testing.T
// does. Only its connection is closed, with 1011, or its request refused with 500.
type PanicError = loop.PanicError

// CloseError is a connection that ended by a closing handshake, with the code and
// reason of the peer's close frame.
type CloseError struct {
	Code   StatusCode
	Reason string
}

func (e *CloseError) Error() string {
	s := fmt.Sprintf("engine: the connection was closed with %d", uint16(e.Code))
	if e.Reason != "" {
		s += fmt.Sprintf(": %q", e.Reason)
	}
	return s
}

// OptionError is a field whose value makes no sense. Listen, Serve, Dial and DialReconnecting
// return it, joined with others if there are several. Find each with errors.As.
type OptionError struct {
	Field  string // such as Limits.LowWater
	Value  any    // of the field
	Remedy string // why it is refused, and what to do
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("engine: %s is %v: %s", e.Field, e.Value, e.Remedy)
}

// URLError is a URL that Dial cannot use, whatever answers there.
type URLError struct {
	URL string // without user and password; empty if they cannot be found in it
	Err error  // why
}

func (e *URLError) Error() string {
	if e.URL == "" {
		return fmt.Sprintf("engine: dial: %v", e.Err)
	}
	return fmt.Sprintf("engine: dial %q: %v", e.URL, e.Err)
}

// Unwrap returns why the URL cannot be used.
func (e *URLError) Unwrap() error { return e.Err }

// DialError is why Dial made no connection. Its text says what to do about it, where that
// can be told.
type DialError struct {
	URL   string    // that was asked for, without user and password
	Stage DialStage // in which it failed
	Err   error     // what went wrong
}

// Error says where the dial failed, why, and what to do.
func (e *DialError) Error() string {
	s := "engine: dial " + e.URL + ": " + strings.TrimPrefix(e.Err.Error(), "engine: ")
	if e.Timeout() || errors.Is(e.Err, context.Canceled) { // otherwise Err says in what
		s += "; it got as far as stage " + e.Stage.String()
	}
	if remedy := e.remedy(); remedy != "" {
		s += "; " + remedy
	}
	return s
}

// Unwrap returns what went wrong.
func (e *DialError) Unwrap() error { return e.Err }

// Timeout reports whether time ran out: Limits.HandshakeTimeout, the deadline of the
// context, or that of the network.
func (e *DialError) Timeout() bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(e.Err, ErrHandshakeTimeout) || errors.As(e.Err, &timeout) && timeout.Timeout()
}

// ProxyError says that a proxy gives no way to the server.
type ProxyError struct {
	Proxy  string      // its URL, without user and password; hidden if they cannot be found in it
	Status int         // what an HTTP proxy answered to CONNECT; 0: see Cause
	Reason string      // the reason phrase as sent
	Header http.Header // of the answer
	// Cause is what went wrong if there is no answer: what the network said, or
	// a SOCKS proxy. errors.ErrUnsupported: a proxy of this kind cannot be used.
	Cause error
}

func (e *ProxyError) Error() string {
	s := "engine: proxy " + e.Proxy + ": "
	switch {
	case e.Cause != nil:
		return s + e.Cause.Error()
	case e.Reason != "":
		return s + "it answered " + strconv.Itoa(e.Status) + ": " + strconv.Quote(e.Reason)
	}
	return s + "it answered " + strconv.Itoa(e.Status)
}

// Unwrap returns the cause.
func (e *ProxyError) Unwrap() error { return e.Cause }

// Rejection is a request that is refused, and the HTTP answer that says so.
type Rejection = handshake.Rejection

// Reject makes the error with which ShouldUpgrade refuses a request: an HTTP
// status of 300 to 599 and a text that the peer sees. It may carry headers:
//
//	return nil, engine.Reject(http.StatusUnauthorized, "log in first").
//		WithHeader("WWW-Authenticate", "Bearer")
func Reject(status int, reason string) *Rejection { return handshake.Reject(status, reason) }

// fromLoop returns what a method of a loop.Conn or loop.Group returned as an error
// of this package. The nil of a send that succeeds passes at once.
func fromLoop(err error) error {
	if err == nil {
		return nil
	}
	return ownError(err)
}

func ownError(err error) error {
	switch err {
	case loop.ErrClosed:
		return ErrClosed
	case loop.ErrBackpressure:
		return ErrBackpressure
	case fanout.ErrNoRoom:
		return ErrRetained
	case loop.ErrInCallback:
		return ErrInCallback
	}
	return err
}

// counted is n of something, as errors say it.
func counted[T int | int64](n T, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
