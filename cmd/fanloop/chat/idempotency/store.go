package idempotency

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
)

// MaxKey is the length of a key at most, in bytes.
const MaxKey = 128

// Errors that are returned as they are or wrapped.
var (
	// ErrKey: the key is empty or too long, or has other characters than visible ASCII.
	ErrKey = errors.New("idempotency: a key has 1 to 128 visible characters of ASCII")
	// ErrOtherBody: the key was used with another body. Take a new key for another
	// request.
	ErrOtherBody = errors.New("idempotency: the key was used for another body; take a new one")
	// ErrBusy: too many requests of the caller with a key are under way. Try again.
	ErrBusy = errors.New("idempotency: too many requests are under way; try again with the same key")
	// ErrForgotten: the request was carried out, and its answer was too large to keep.
	ErrForgotten = errors.New("idempotency: the request was carried out; its answer was not kept")
)

// Key names a request.
type Key struct {
	Caller string // who is authorized, not what he says
	Route  string // method and path
	Name   string // that the caller chose
}

// Check returns ErrKey if the name cannot be one.
func (k Key) Check() error {
	if k.Name == "" || len(k.Name) > MaxKey {
		return ErrKey
	}
	for _, b := range []byte(k.Name) {
		if b <= ' ' || b > '~' {
			return ErrKey
		}
	}
	return nil
}

// MessageID returns an id for what the request does in a topic, the same on all nodes:
// a store that knows the id stores it once.
func (k Key) MessageID(topic string) string {
	h := sha256.New()
	for _, part := range []string{k.Caller, k.Route, k.Name, topic} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return "i-" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// Response is the answer to a request. Those who get it from memory share it: do not
// change it.
type Response struct {
	Status int
	Body   []byte
}

// Config is how a Store works. The zero value of a field means its default.
type Config struct {
	// Keep is how long an answer is kept (10 min).
	Keep time.Duration
	// Timeout is for carrying out one request (30 s).
	Timeout time.Duration
	// MaxKeys is how many keys of one caller are kept (10 000).
	MaxKeys int
	// MaxBytes is for the answers of one caller (8 MiB). One that is larger than a
	// sixteenth of it is not kept; the key is.
	MaxBytes int
	// Partly reports that an error leaves something done: then the key stays with its
	// body, and who repeats it carries the same request on, with the Begun of its first
	// attempt. Without it no error does.
	Partly func(error) bool
}

// Store has the requests of the last time. Its methods may be called by any goroutine.
type Store struct {
	config Config // immutable

	mu      sync.Mutex
	callers map[string]*caller // guarded by mu
	running sync.WaitGroup
}

// caller is what is kept for one. Guarded by the mutex of the store.
type caller struct {
	requests map[Key]*request
	done     list.List // of *request that are done, the oldest first
	bytes    int       // of their answers
}

// request is one key.
type request struct {
	key      Key           // immutable
	body     [32]byte      // immutable
	finished chan struct{} // closed when the fields below do not change any more
	response Response
	err      error // ErrForgotten, or why it was not carried out
	end      time.Time

	begun   time.Time     // immutable; of the first attempt
	partly  bool          // guarded by mu of the store: done in part, and to be carried on
	element *list.Element // in done; guarded by mu of the store; nil: not there
}

type begunKey struct{}

// Begun is when the request that ctx is for was carried out for the first time; zero: it
// has no key.
func Begun(ctx context.Context) time.Time {
	begun, _ := ctx.Value(begunKey{}).(time.Time)
	return begun
}

// New returns a Store.
func New(c Config) *Store {
	if c.Keep <= 0 {
		c.Keep = 10 * time.Minute
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.MaxKeys <= 0 {
		c.MaxKeys = 10_000
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 8 << 20
	}
	if c.Partly == nil {
		c.Partly = func(error) bool { return false }
	}
	return &Store{config: c, callers: make(map[string]*caller)}
}

// Wait returns when nothing is carried out any more.
func (s *Store) Wait() { s.running.Wait() }

// Do returns the answer to a request: that of carry if the key is new, otherwise that
// of the first one, and then again is true. carry runs on a goroutine of its own with
// Config.Timeout, and goes on when ctx ends: whoever asks again gets to know what
// became of it. An error of carry means that nothing happened, unless it is
// Config.Partly's. It is returned to all who wait, and the key is free again. Where carry
// panics the error is a [*loop.PanicError].
func (s *Store) Do(ctx context.Context, key Key, body []byte, carry func(context.Context) (Response, error)) (r Response, again bool, err error) {
	if err := key.Check(); err != nil {
		return Response{}, false, err
	}
	q, again, err := s.enter(key, sha256.Sum256(body))
	if err != nil {
		return Response{}, false, err
	}
	if !again {
		go s.carry(context.WithoutCancel(ctx), q, carry)
	}
	select {
	case <-q.finished:
		return q.response, again, q.err
	case <-ctx.Done():
		return Response{}, again, fmt.Errorf("idempotency: %w", ctx.Err())
	}
}

// enter returns the request of a key, which is new if again is false.
func (s *Store) enter(key Key, body [32]byte) (q *request, again bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(time.Now())
	c := s.callers[key.Caller]
	if c == nil {
		c = &caller{requests: make(map[Key]*request)}
		s.callers[key.Caller] = c
	}
	begun := time.Now()
	if q := c.requests[key]; q != nil {
		switch {
		case q.body != body:
			return nil, false, ErrOtherBody
		case !q.partly:
			return q, true, nil
		}
		begun = q.begun
		c.drop(q)
	}
	if len(c.requests) >= s.config.MaxKeys && !c.dropOldest() {
		return nil, false, ErrBusy
	}
	q = &request{key: key, body: body, finished: make(chan struct{}), begun: begun}
	c.requests[key] = q
	s.running.Add(1)
	return q, false, nil
}

// carry carries a request out and keeps the answer.
func (s *Store) carry(ctx context.Context, q *request, do func(context.Context) (Response, error)) {
	defer s.running.Done()
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, begunKey{}, q.begun), s.config.Timeout)
	defer cancel()
	var r Response
	err := survive.Do(func() (err error) { r, err = do(ctx); return err })
	partly := err != nil && s.config.Partly(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(q.finished)
	c := s.callers[q.key.Caller]
	q.response, q.err, q.partly = r, err, partly
	if err != nil && !partly {
		delete(c.requests, q.key)
		s.tidy(q.key.Caller, c)
		return
	}
	q.end = time.Now().Add(s.config.Keep)
	if len(r.Body) > s.config.MaxBytes/16 {
		// Who waits gets it; who comes later does not.
		kept := &request{key: q.key, body: q.body, finished: make(chan struct{}), err: ErrForgotten, end: q.end}
		close(kept.finished)
		c.requests[q.key] = kept
		kept.element = c.done.PushBack(kept)
		return
	}
	q.element = c.done.PushBack(q)
	c.bytes += len(r.Body)
	for c.bytes > s.config.MaxBytes && c.dropOldest() {
	}
}

// dropOldest forgets the oldest request that is done, and reports whether there was
// one. Under mu.
func (c *caller) dropOldest() bool {
	first := c.done.Front()
	if first == nil {
		return false
	}
	c.drop(first.Value.(*request))
	return true
}

// drop forgets a request that is done. Under mu.
func (c *caller) drop(q *request) {
	c.done.Remove(q.element)
	c.bytes -= len(q.response.Body)
	delete(c.requests, q.key)
}

// forget drops what was kept for its time, of all callers: there are few. Under mu.
func (s *Store) forget(now time.Time) {
	for name, c := range s.callers {
		for e := c.done.Front(); e != nil && !now.Before(e.Value.(*request).end); e = c.done.Front() {
			c.dropOldest()
		}
		s.tidy(name, c)
	}
}

// tidy drops a caller of whom nothing is kept. Under mu.
func (s *Store) tidy(name string, c *caller) {
	if len(c.requests) == 0 {
		delete(s.callers, name)
	}
}

// Stats are counts for metrics.
type Stats struct{ Callers, Keys, Bytes int }

// String lists them.
func (s Stats) String() string {
	return strconv.Itoa(s.Callers) + " callers, " + strconv.Itoa(s.Keys) + " keys, " + strconv.Itoa(s.Bytes) + " bytes"
}

// Stats returns what is kept.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := Stats{Callers: len(s.callers)}
	for _, c := range s.callers {
		all.Keys += len(c.requests)
		all.Bytes += c.bytes
	}
	return all
}
