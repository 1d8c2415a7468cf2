package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// retryClock is time and chance as Reconnect sees them.
type retryClock struct {
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration) error // fails when ctx is done
	rand  func(n int64) int64                              // 0 to n-1
}

var realClock = retryClock{now: time.Now, sleep: sleep, rand: rand.Int64N}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// restartSpread is over how long clients of a server that restarts come back.
const restartSpread = 5 * time.Second

// backoff decides about the next attempt. Owned by one goroutine.
type backoff struct {
	policy  *Reconnect
	log     *slog.Logger
	panics  loop.Throttle
	ceiling time.Duration // of the next wait
	misses  int           // attempts in a row without a stable connection
	since   time.Time     // when there last was one
}

func newBackoff(policy *Reconnect, log *slog.Logger) *backoff {
	if log == nil {
		log = slog.Default()
	}
	return &backoff{policy: policy, log: log, ceiling: policy.BaseDelay, since: policy.clock.now()}
}

// next judges the end of an attempt whose connection stood for a while, or was
// not made (0). It tells OnRetry and returns how long to wait, or why not to.
func (b *backoff) next(stood time.Duration, err error) (time.Duration, error) {
	p, now := b.policy, b.policy.clock.now()
	if stood >= p.StableAfter {
		b.misses, b.ceiling, b.since = 0, p.BaseDelay, now
	} else {
		b.misses++
	}
	if isFinal(err) || b.callFinal(err) {
		return 0, fmt.Errorf("engine: trying again would not help: %w", err)
	}
	if p.MaxAttempts > 0 && b.misses >= p.MaxAttempts {
		return 0, fmt.Errorf("%w after %s: %w", ErrGaveUp, counted(b.misses, "attempt"), err)
	}
	delay := b.delay(now, err)
	if p.MaxElapsed > 0 && now.Add(delay).Sub(b.since) > p.MaxElapsed {
		return 0, fmt.Errorf("%w, the next attempt would be after more than %v: %w", ErrGaveUp, p.MaxElapsed, err)
	}
	b.ceiling = min(2*b.ceiling, p.MaxDelay)
	b.callRetry(err, delay)
	return delay, nil
}

func (b *backoff) callFinal(err error) (final bool) {
	if fn := b.policy.Final; fn != nil {
		b.call(func() { final = fn(err) })
	}
	return final
}

func (b *backoff) callRetry(err error, delay time.Duration) {
	if fn := b.policy.OnRetry; fn != nil {
		b.call(func() { fn(err, delay) })
	}
}

// call calls a callback that may not return.
func (b *backoff) call(fn func()) {
	if err := loop.Isolate(fn); err != nil {
		logPanic(&b.panics, b.log, err, "reconnecting goes on")
	}
}

// delay is how long to wait after err.
func (b *backoff) delay(now time.Time, err error) time.Duration {
	p := b.policy
	var closed *CloseError
	if errors.As(err, &closed) {
		switch closed.Code {
		case StatusServiceRestart:
			return b.jitter(max(b.ceiling, min(restartSpread, p.MaxDelay)))
		case StatusTryAgainLater:
			return p.MaxDelay/2 + b.jitter(p.MaxDelay/2)
		}
	}
	var refused *StatusError
	if errors.As(err, &refused) {
		if wait, ok := refused.RetryAfter(now); ok {
			return wait + b.jitter(b.ceiling)
		}
	}
	return b.jitter(b.ceiling)
}

// jitter is a random time of at most d.
func (b *backoff) jitter(d time.Duration) time.Duration {
	return time.Duration(b.policy.clock.rand(int64(d) + 1))
}

// isFinal says whether err would come again, whenever it is tried.
func isFinal(err error) bool {
	for _, end := range []error{loop.ErrStopped, ErrTooManyRedirects, ErrInsecureRedirect} {
		if errors.Is(err, end) {
			return true
		}
	}
	if is[*handshake.ResponseError](err) || is[*handshake.HeaderError](err) || is[*tls.CertificateVerificationError](err) ||
		is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err) || is[x509.CertificateInvalidError](err) {
		return true
	}
	if closed, ok := errors.AsType[*CloseError](err); ok {
		return isFinalCode(closed.Code)
	}
	if broken, ok := errors.AsType[*ProtocolError](err); ok {
		return isFinalCode(broken.Code)
	}
	if refused, ok := errors.AsType[*StatusError](err); ok {
		return isFinalStatus(refused.Status)
	}
	if refused, ok := errors.AsType[*ProxyError](err); ok {
		return refused.Status != 0 && isFinalStatus(refused.Status) || refused.Cause != nil && errors.Is(refused.Cause, errors.ErrUnsupported)
	}
	return false
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// isFinalCode goes by RFC 6455 section 7.4.1.
func isFinalCode(code StatusCode) bool {
	switch code {
	case StatusNormalClosure, StatusProtocolError, StatusUnsupportedData,
		StatusInvalidFramePayloadData, StatusPolicyViolation, StatusMessageTooBig,
		StatusMandatoryExtension:
		return true
	}
	return false
}

// isFinalStatus goes by RFC 9110 section 15, RFC 6585 and RFC 8470.
func isFinalStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return true
	}
	return status < 500
}
