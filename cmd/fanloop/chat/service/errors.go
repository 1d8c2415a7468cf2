package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/limits"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// answer is what a client gets to know of an error: a protocol.Error, or an error that
// the session answers as internal.
func answer(err error) error {
	var limit *limits.Error
	var name *names.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limit):
		return limited(limit)
	case errors.Is(err, hooks.ErrUnavailable):
		e := later(protocol.Unavailable)
		e.Delay = max(e.Delay, hooks.DelayOf(err).Milliseconds())
		return e
	case errors.Is(err, cluster.ErrUnavailable), errors.Is(err, cluster.ErrBehind), errors.Is(err, cluster.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled): // the question had its time
		return later(protocol.Unavailable)
	case errors.As(err, &name):
		return protocol.Fail(nil, protocol.BadName, "the "+name.What+" "+name.Reason)
	case errors.Is(err, names.ErrName), errors.Is(err, cluster.ErrTopic), errors.Is(err, keyed.ErrKey):
		return protocol.Fail(nil, protocol.BadName, "")
	case errors.Is(err, keyed.ErrTooLarge):
		return protocol.Fail(nil, protocol.TooLarge, fmt.Sprintf("a keyed value has up to %d bytes", maxValue))
	case errors.Is(err, cluster.ErrTooLarge):
		return protocol.TooLarge
	case errors.Is(err, keyed.ErrOwner):
		e := later(protocol.Overloaded)
		e.Message = fmt.Sprintf("a user has up to %d keys of a kind in a topic; take one away first", maxOwned)
		return e
	case errors.Is(err, keyed.ErrFull):
		return later(protocol.Overloaded)
	case errors.Is(err, presence.ErrLevel):
		return protocol.Off
	case errors.Is(err, auth.ErrInvalid):
		return protocol.Unauthorized
	case errors.Is(err, auth.ErrExpired):
		return protocol.TokenExpired
	case errors.Is(err, auth.ErrNotYet):
		e := later(protocol.TokenNotYetValid)
		e.Delay += min(auth.WaitOf(err), longestWait).Milliseconds()
		return e
	case errors.Is(err, auth.ErrUnavailable):
		return later(protocol.Unavailable)
	case errors.Is(err, revoke.ErrTooSoon):
		e := protocol.Fail(nil, protocol.TokenExpired, "the token was made too soon after the user was revoked")
		e.Delay = delay() + min(revoke.WaitOf(err), longestWait).Milliseconds()
		return e
	case errors.Is(err, revoke.ErrRevoked):
		return protocol.Revoked
	case errors.Is(err, auth.ErrNotLoopback):
		return protocol.Fail(nil, protocol.Unauthorized, "without accounts only this machine is served")
	}
	return err
}

// limited is the answer to what is over a limit: when the rate has room again or, where
// something has to end first, in some seconds.
func limited(err *limits.Error) *protocol.Error {
	e := protocol.Fail(nil, protocol.RateLimited, "")
	if e.Delay = max(1, err.Retry.Milliseconds()); err.Retry == 0 {
		e.Delay = (untilOneEnds + rand.N(untilOneEnds)).Milliseconds()
	}
	return e
}

// untilOneEnds is the least after which to try again what waits for the end of something.
const untilOneEnds = 5 * time.Second

// isFault reports whether the session answers err as internal. It is to be logged.
func isFault(err error) bool {
	_, isError := errors.AsType[*protocol.Error](err)
	_, isCode := errors.AsType[protocol.Code](err)
	return err != nil && !isError && !isCode
}

// longestWait is until a token that is not valid yet is looked at again: a clock may have
// been set, or there may be another token.
const longestWait = time.Minute

// later is a code to be tried again after a delay that differs between clients.
func later(code protocol.Code) *protocol.Error {
	e := protocol.Fail(nil, code, "")
	e.Retry, e.Delay = protocol.Later, delay()
	return e
}

// closing is the last frame of a connection that is to be made again.
func closing(code protocol.Code) *protocol.Closing { return closingWithin(code, shortWave) }

// closingWithin is closing for one of many, which come back within a time.
func closingWithin(code protocol.Code, wave time.Duration) *protocol.Closing {
	return &protocol.Closing{Code: code, Retry: protocol.Later, Delay: delayWithin(wave)}
}

// movingTo is closing for the clients of a node that ends.
func movingTo(addresses []string, wave time.Duration) *protocol.Closing {
	c := closingWithin(protocol.Draining, wave)
	if len(addresses) > 0 {
		c.Address = addresses[rand.N(len(addresses))]
	}
	return c
}

const (
	shortWave = 1500 * time.Millisecond
	longWave  = 2 * time.Minute
	// comeBack is how many connections of a node that ends come back in a second.
	comeBack = 500
)

// waveOf is how long so many connections take to come back.
func waveOf(connections int) time.Duration {
	return min(max(shortWave, time.Duration(connections)*time.Second/comeBack), longWave)
}

// delay is from half a second to two, in milliseconds.
func delay() int64 { return delayWithin(shortWave) }

func delayWithin(wave time.Duration) int64 {
	return (500*time.Millisecond + rand.N(wave)).Milliseconds()
}
