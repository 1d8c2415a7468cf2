package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/backoff"
	"github.com/fanloop-go/fanloop/loop"
)

// ReconnectPolicy says when a ReconnectingClient connects again, and with what.
// The zero value works.
//
// The wait before an attempt is random between 0 and a ceiling (full jitter), so
// that clients of a server that went away do not all come back at once. The
// ceiling begins at BaseDelay and doubles with every attempt up to MaxDelay, until
// a connection has stood for StableAfter. If the server closes with 1012 (it
// restarts), the ceiling is at least 5 s. After 1013 (try again later) the wait is
// between MaxDelay/2 and MaxDelay. Retry-After of a refusal comes before the random
// wait, and may take a day.
//
// No attempt follows an error that is final, because it would come again:
//   - the close codes 1000, 1002, 1003, 1007, 1008, 1009 and 1010, whoever sent them;
//   - a refusal, except 408, 425, 429 and 5xx, of which 501 and 505 are final;
//   - an answer that breaks the protocol, or TLS where there is none and the reverse;
//   - a certificate that is not trusted;
//   - a redirect that may not be followed, and an option that cannot be used;
//   - the end of DialOptions.Group.
//
// ShouldRetry may overrule all but the last. A callback that does not return
// (PanicError) ends its connection or its attempt, and is not final.
type ReconnectPolicy struct {
	// Prepare is called before each attempt, the first one included, and may give
	// it another URL and other headers: a fresh token, the next server of a list.
	// An error counts as a failed attempt, is never final by itself, and is passed
	// to OnRetry and ShouldRetry. Prepare runs on a goroutine of its own, for which
	// the attempt waits, so it may block. Limits.HandshakeTimeout does not bound it:
	// return when ctx is done, which Close ends.
	Prepare func(ctx context.Context, a *Attempt) error
	// OnConnect is called for every connection, after DialOptions.OnUpgrade, before
	// its first message is delivered and before sends of the client can use it:
	// subscribe again here. n is 1 for the first connection, 2 for the next. It runs
	// on the loop that owns the connection.
	OnConnect func(ws *WebSocket, n int)
	// OnRetry is called before each wait, with the error that ended the last connection or attempt.
	// It runs on a goroutine of its own; the next attempt waits for it. If it panics or calls
	// runtime.Goexit, that is logged.
	OnRetry func(err error, delay time.Duration)
	// ShouldRetry decides whether another attempt follows err, within MaxAttempts and
	// MaxElapsed. retry is what happens without ShouldRetry, by the list above:
	// return it for errors that you do not know. Close codes from 3000 on mean what
	// your application says; they are retried by default. err is a *CloseError, an
	// error of WebSocket.Err, of Dial or of Prepare. It runs as OnRetry does; if it
	// does not return, retry counts.
	ShouldRetry func(err error, retry bool) bool

	// BaseDelay and MaxDelay bound the ceiling of the wait. Defaults: 100 ms, 30 s.
	BaseDelay, MaxDelay time.Duration
	// StableAfter is how long a connection must have stood to count as one that
	// works. Default: MaxDelay.
	StableAfter time.Duration
	// MaxAttempts is the most attempts in a row that bring no connection, or one
	// that is not stable. Default: no limit.
	MaxAttempts int
	// MaxElapsed is the longest time without a stable connection, waits included.
	// Default: no limit.
	MaxElapsed time.Duration

	clock *backoff.Clock // nil: the real one
}

// Attempt is one attempt to connect. ReconnectPolicy.Prepare may change it. Do not keep it.
type Attempt struct {
	// N is 1 for the first attempt of the client, and one more for each that follows.
	N int
	// Err is why there is no connection. nil before the first attempt.
	Err error
	// URL is that of DialReconnecting. Set another one to dial it in this attempt.
	URL string
	// Header is a copy of DialOptions.Header, never nil. What you set is sent in
	// this attempt. A redirect to another origin does not get its secrets.
	Header http.Header
}

func (p ReconnectPolicy) withDefaults() ReconnectPolicy {
	setDefault(&p.BaseDelay, 100*time.Millisecond)
	setDefault(&p.MaxDelay, max(30*time.Second, p.BaseDelay))
	p.BaseDelay = min(p.BaseDelay, p.MaxDelay)
	setDefault(&p.StableAfter, p.MaxDelay)
	if p.clock == nil {
		p.clock = &backoff.Real
	}
	return p
}

// restartSpread is over how long clients of a server that restarts come back.
const restartSpread = 5 * time.Second

// retrier decides about the next attempt. Owned by one goroutine.
type retrier struct {
	policy  *ReconnectPolicy
	backoff *backoff.Backoff
	log     *slog.Logger
	panics  loop.Throttle
}

func newRetrier(p *ReconnectPolicy, log *slog.Logger) *retrier {
	if log == nil {
		log = slog.Default()
	}
	return &retrier{policy: p, log: log, backoff: backoff.New(backoff.Policy{
		BaseDelay:   p.BaseDelay,
		MaxDelay:    p.MaxDelay,
		StableAfter: p.StableAfter,
		MaxAttempts: p.MaxAttempts,
		MaxElapsed:  p.MaxElapsed,
	}, p.clock)}
}

// next judges the end of an attempt whose connection stood for a while, or was
// not made (0). It calls OnRetry and returns how long to wait, or why there is no
// other attempt.
func (r *retrier) next(stood time.Duration, err error) (time.Duration, error) {
	r.backoff.End(stood)
	if !r.shouldRetry(err) {
		return 0, fmt.Errorf("engine: trying again would not help: %w", err)
	}
	if misses, spent := r.backoff.Misses(); spent {
		return 0, &gaveUpError{"after " + counted(misses, "attempt"), err}
	}
	delay, ok := r.backoff.Next(r.hint(err))
	if !ok {
		return 0, &gaveUpError{"because the next attempt would be after more than " + r.policy.MaxElapsed.String(), err}
	}
	r.callRetry(err, delay)
	return delay, nil
}

// gaveUpError is ErrGaveUp with the last error.
type gaveUpError struct {
	when string // and why
	last error
}

func (e *gaveUpError) Error() string {
	return "engine: gave up reconnecting " + e.when + "; the last error: " + e.last.Error()
}

func (e *gaveUpError) Unwrap() []error { return []error{ErrGaveUp, e.last} }

// hint returns what err says about when to come back.
func (r *retrier) hint(err error) (h backoff.Hint) {
	if closed, ok := errors.AsType[*CloseError](err); ok {
		switch closed.Code {
		case StatusServiceRestart:
			h.Spread = restartSpread
		case StatusTryAgainLater:
			h.Busy = true
		}
	}
	if refused, ok := errors.AsType[*StatusError](err); ok {
		h.After, _ = refused.RetryAfter(r.policy.clock.Now())
	}
	return h
}

// shouldRetry returns the verdict of ShouldRetry, if it may be asked.
func (r *retrier) shouldRetry(err error) bool {
	retry := !isFinal(err)
	if r.policy.ShouldRetry == nil || errors.Is(err, loop.ErrStopped) {
		return retry
	}
	verdict := retry
	r.call(func() { verdict = r.policy.ShouldRetry(err, retry) })
	return verdict
}

func (r *retrier) callRetry(err error, delay time.Duration) {
	if fn := r.policy.OnRetry; fn != nil {
		r.call(func() { fn(err, delay) })
	}
}

// call calls a callback that may not return.
func (r *retrier) call(fn func()) {
	if err := loop.Isolate(fn); err != nil {
		logPanic(&r.panics, r.log, err, "reconnecting goes on")
	}
}
