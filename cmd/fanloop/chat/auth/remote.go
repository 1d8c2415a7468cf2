package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
)

// RemoteConfig is where keys come from, and how often. The zero value of a field but
// URL means its default.
type RemoteConfig struct {
	// URL is that of a JWKS: https, or http to a loopback address.
	URL string
	// Every is the time between two fetches (5 min).
	Every time.Duration
	// AtLeast is the time between two fetches at least, also when tokens name keys that
	// are not there (30 s). A new key is known after that time.
	AtLeast time.Duration
	// Timeout is for one fetch (10 s).
	Timeout time.Duration
	// MaxBody is the size of a JWKS at most, in bytes (256 KiB).
	MaxBody int64
	// MaxStale is how long keys are used that could not be fetched again (24 h).
	MaxStale time.Duration
	// Alarm is called after a fetch that failed; with a nil error after the first that
	// succeeded again, and after one with another number of Skipped keys than the one that
	// succeeded before. It is called by one goroutine at a time.
	Alarm func(Health, error)
	// Transport is for tests; nil: one of its own.
	Transport http.RoundTripper
}

func (c RemoteConfig) withDefaults() RemoteConfig {
	c.Every = orDefault(c.Every, 5*time.Minute)
	c.AtLeast = orDefault(c.AtLeast, 30*time.Second)
	c.Timeout = orDefault(c.Timeout, 10*time.Second)
	c.MaxBody = orDefault(c.MaxBody, 256<<10)
	c.MaxStale = orDefault(c.MaxStale, 24*time.Hour)
	if c.Alarm == nil {
		c.Alarm = func(Health, error) {}
	}
	return c
}

func orDefault[T time.Duration | int64](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Health is the state of the keys.
type Health struct {
	Keys     int       // in use
	Skipped  int       // in the JWKS, and of no use here
	Fetched  time.Time // when they were had last; zero: never
	Failures int       // fetches since then
	Failed   uint64    // fetches in all
	Fetches  uint64    // in all, those that failed too
}

// Remote are the keys of a JWKS. It fetches them from time to time, and soon after a
// token has named a key that is not there. A fetch that fails changes nothing: the
// keys are used until RemoteConfig.MaxStale. A fetch that succeeds replaces all keys,
// so a key that the JWKS does not have any more is not used any more.
type Remote struct {
	config RemoteConfig // immutable
	client *http.Client // immutable
	cancel context.CancelFunc
	done   chan struct{}

	keys    atomic.Pointer[Static] // nil: none were ever had, or they are too old
	missing chan struct{}          // a token named a key that is not there
	first   chan struct{}          // closed when keys are there

	mu     sync.Mutex
	health Health // guarded by mu
}

// NewRemote begins to fetch keys. Close ends it.
func NewRemote(c RemoteConfig) (*Remote, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	r := &Remote{
		config: c.withDefaults(), done: make(chan struct{}),
		missing: make(chan struct{}, 1), first: make(chan struct{}),
	}
	transport := c.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: r.config.Timeout,
			MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true,
		}
	}
	r.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go r.run(ctx)
	return r, nil
}

// Check returns why NewRemote would refuse c. It allows no URL at which others could give keys.
func (c RemoteConfig) Check() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil, u.Host == "":
		return errors.New("auth: the URL of the JWKS is none: write it like https://example.com/jwks.json")
	case u.User != nil:
		return errors.New("auth: the URL of the JWKS has a user in it; leave that out")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("auth: the URL of the JWKS begins with %.16q: want https, or http to a loopback address", u.Scheme)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close ends fetching and returns when nothing of it runs any more.
func (r *Remote) Close() {
	r.cancel()
	<-r.done
}

// Wait returns when keys are there, or with the error of ctx.
func (r *Remote) Wait(ctx context.Context) error {
	select {
	case <-r.first:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("auth: no keys from the JWKS yet: %w", ctx.Err())
	}
}

// Health returns the state of the keys.
func (r *Remote) Health() Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health
}

// Get implements Keys. It does not wait: if there is no such key, the keys are
// fetched soon.
func (r *Remote) Get(id string) (*Key, bool) {
	keys := r.keys.Load()
	if keys == nil {
		return nil, false
	}
	if key := (*keys)[id]; key != nil {
		return key, true
	}
	select {
	case r.missing <- struct{}{}:
	default:
	}
	return nil, true
}

// run fetches, waits AtLeast, and then until it is time or a key is missing.
func (r *Remote) run(ctx context.Context) {
	defer close(r.done)
	for {
		began := time.Now()
		var keys Static
		var skipped int
		err := survive.Do(func() (err error) { keys, skipped, err = r.fetch(ctx); return err })
		if ctx.Err() != nil {
			return
		}
		r.take(keys, skipped, err)
		if !sleep(ctx, time.Until(began.Add(r.config.AtLeast)), nil) {
			return
		}
		rest := time.Until(began.Add(r.config.Every*9/10 + rand.N(r.config.Every/5+1)))
		if err == nil && !sleep(ctx, rest, r.missing) {
			return
		}
	}
}

// sleep returns after d, or sooner if wake has something; false when ctx has ended.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// take notes the outcome of a fetch.
func (r *Remote) take(keys Static, skipped int, err error) {
	r.mu.Lock()
	h := &r.health
	h.Fetches++
	news := err != nil || h.Failures > 0 || h.Skipped != skipped
	switch {
	case err == nil:
		if h.Fetched.IsZero() {
			close(r.first)
		}
		h.Keys, h.Skipped, h.Fetched, h.Failures = len(keys), skipped, time.Now(), 0
		r.keys.Store(&keys)
	default:
		h.Failures++
		h.Failed++
		if !h.Fetched.IsZero() && time.Since(h.Fetched) > r.config.MaxStale {
			h.Keys = 0
			r.keys.Store(nil)
		}
	}
	health := *h
	r.mu.Unlock()
	if news {
		r.config.Alarm(health, err)
	}
}

// fetch asks once.
func (r *Remote) fetch(ctx context.Context) (Static, int, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.config.URL, nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, 0, fmt.Errorf("auth: JWKS: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("auth: JWKS: the answer has status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, r.config.MaxBody+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("auth: JWKS: %w", err)
	case int64(len(body)) > r.config.MaxBody:
		return nil, 0, fmt.Errorf("auth: JWKS: the answer has more than %d bytes", r.config.MaxBody)
	}
	return parseJWKS(body)
}
