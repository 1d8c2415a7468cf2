package hooks

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/singleflight"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/timing"
	"github.com/fanloop-go/fanloop/loop"
)

// ErrUnavailable: there was no answer, and nobody is let through without. The client
// tries again after a delay: DelayOf.
var ErrUnavailable = errors.New("hooks: the backend gave no answer; try again")

// Outcome is what became of a question, as a label for metrics.
type Outcome string

// All outcomes.
const (
	Allowed    Outcome = "allowed"
	Refused    Outcome = "refused"    // by the backend
	Timeout    Outcome = "timeout"    // no answer within the deadline
	Connection Outcome = "connection" // it could not be reached, or broke off
	Status     Outcome = "status"     // another status than 200
	Body       Outcome = "body"       // too large, or not of the form
	Busy       Outcome = "busy"       // too many questions
	Open       Outcome = "open"       // the circuit is open
	Canceled   Outcome = "canceled"   // who asked does not want to know any more
)

var outcomes = []Outcome{Allowed, Refused, Timeout, Connection, Status, Body, Busy, Open, Canceled}

// State is that of the circuit.
type State string

// All states.
const (
	Closed   State = "closed" // questions are asked
	IsOpen   State = "open"   // they are not
	HalfOpen State = "half-open"
)

// Hook is one question that the backend answers. Its methods may be called by any
// goroutine.
type Hook struct {
	config  Config // immutable
	client  *http.Client
	breaker *gobreaker.CircuitBreaker[Answer]
	flights singleflight.Group
	running chan struct{} // one for each request that runs

	pending atomic.Int64 // questions that run or wait
	flying  atomic.Int64 // requests that run or wait
	shared  atomic.Uint64
	state   atomic.Value // State, as OnState was told
	counts  [9]atomic.Uint64
	took    timing.Counter // of questions with an answer
}

// New returns a Hook.
func New(c Config) (*Hook, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	h := &Hook{config: c, running: make(chan struct{}, c.Concurrency)}
	h.client = &http.Client{
		Transport:     c.transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	h.state.Store(Closed)
	h.breaker = gobreaker.NewCircuitBreaker[Answer](gobreaker.Settings{
		Interval:     10 * time.Second,
		BucketPeriod: time.Second,
		Timeout:      c.Open*4/5 + mathrand.N(c.Open*2/5+1), // nodes do not try together
		IsExcluded: func(err error) bool {
			f, ok := errors.AsType[*failure](err)
			return ok && (f.late || f.badName()) // of one user: the others are to be asked about
		},
		ReadyToTrip: func(n gobreaker.Counts) bool {
			return int(n.ConsecutiveFailures) >= c.Failures || n.Requests >= 20 && n.TotalFailures*2 >= n.Requests
		},
	})
	return h, nil
}

// Close drops idle connections. Questions that are asked go on until their deadline.
func (h *Hook) Close() { h.client.CloseIdleConnections() }

// Kind is what the hook is asked about.
func (h *Hook) Kind() Kind { return h.config.Kind }

// Ask asks the backend and returns its answer, at the latest after Config.Timeout or
// when ctx ends. An answer that does not allow it is no error. Without an answer the
// error is ErrUnavailable, wrapped, or the answer allows it and Otherwise is set. It
// blocks: call it on a goroutine, never on a loop. If the answer has a user whose name is
// refused, the error is names.ErrName, wrapped.
func (h *Hook) Ask(ctx context.Context, q Question) (Answer, error) {
	if !h.enter() {
		return h.decide(Answer{}, &failure{outcome: Busy, delay: h.delay()}, time.Now())
	}
	defer h.pending.Add(-1)
	return h.ask(ctx, q)
}

// Go asks on a goroutine of its own and calls done there with what Ask returns. It
// returns at once. Where there are too many questions it returns ErrUnavailable,
// wrapped, whatever Config.Otherwise is, and done is not called.
func (h *Hook) Go(ctx context.Context, q Question, done func(Answer, error)) error {
	if !h.enter() {
		h.count(Busy, nil, time.Now())
		return &failure{outcome: Busy, delay: h.delay()}
	}
	go func() {
		a, err := h.ask(ctx, q)
		h.pending.Add(-1)
		h.guard(func() error { done(a, err); return nil })
	}()
	return nil
}

// enter takes a place among those that run or wait.
func (h *Hook) enter() bool { return h.take(&h.pending) }

// take takes a place in one of the counts of those that run or wait.
func (h *Hook) take(n *atomic.Int64) bool {
	if n.Add(1) > int64(h.config.Concurrency+h.config.Waiting) {
		n.Add(-1)
		return false
	}
	return true
}

// ask joins a request for the same question, or makes one.
func (h *Hook) ask(ctx context.Context, q Question) (Answer, error) {
	began := time.Now()
	q.Hook = h.config.Kind
	body, err := q.body()
	if err != nil {
		return h.decide(Answer{}, &failure{outcome: Body, cause: err}, began)
	}
	ctx, cancel := context.WithTimeout(ctx, h.config.Timeout)
	defer cancel()
	key := sha256.Sum256(body)
	result := h.flights.DoChan(string(key[:]), func() (a any, err error) { // on a goroutine of its own
		err = h.guard(func() error { a, err = h.attempt(&q, body); return err })
		return a, err
	})
	select {
	case r := <-result:
		if r.Shared {
			h.shared.Add(1)
		}
		a, _ := r.Val.(Answer)
		return h.decide(a, r.Err, began)
	case <-ctx.Done():
		outcome := Canceled
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			outcome = Timeout
		}
		return h.decide(Answer{}, &failure{outcome: outcome, cause: ctx.Err(), delay: h.delay()}, began)
	}
}

// guard calls do. If it panics there is no answer.
func (h *Hook) guard(do func() error) error {
	err := survive.Do(do)
	end, panicked := errors.AsType[*loop.PanicError](err)
	if !panicked {
		return err
	}
	if h.config.OnPanic != nil {
		h.config.OnPanic(h.config.Kind, end)
	}
	return &failure{outcome: Body, cause: end, delay: h.delay()}
}

// attempt waits for its turn and asks, within a deadline of its own: who asked first
// may leave, others want to know.
func (h *Hook) attempt(q *Question, body []byte) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), h.config.Timeout)
	defer cancel()
	if !h.take(&h.flying) { // those whose askers have left count too
		return Answer{}, &failure{outcome: Busy, delay: h.delay()}
	}
	defer h.flying.Add(-1)
	if h.breaker.State() == gobreaker.StateOpen {
		return Answer{}, &failure{outcome: Open, delay: h.delay()}
	}
	select {
	case h.running <- struct{}{}:
		defer func() { <-h.running }()
	case <-ctx.Done():
	}
	if end, _ := ctx.Deadline(); time.Until(end) < h.config.Timeout/10 {
		return Answer{}, &failure{outcome: Busy, delay: h.delay()} // the answer would be late
	}
	a, err := h.breaker.Execute(func() (Answer, error) { return h.traced(ctx, q, body) })
	h.tellState()
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = &failure{outcome: Open, delay: h.delay()}
	}
	return a, err
}

// traced is request with a span.
func (h *Hook) traced(ctx context.Context, q *Question, body []byte) (Answer, error) {
	if h.config.Tracer == nil {
		return h.request(ctx, q, body)
	}
	ctx, span := h.config.Tracer.Start(ctx, "hook "+string(h.config.Kind), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("fanloop.hook", string(h.config.Kind))))
	defer span.End()
	a, err := h.request(ctx, q, body)
	outcome := string(OutcomeOf(a, err))
	span.SetAttributes(attribute.String("fanloop.outcome", outcome))
	if err != nil {
		span.SetStatus(codes.Error, outcome)
	}
	return a, err
}

// request asks once. Its errors are failures.
func (h *Hook) request(ctx context.Context, q *Question, body []byte) (Answer, error) {
	began := time.Now()
	fail := func(outcome Outcome, cause error) (Answer, error) {
		late := false
		if ctx.Err() != nil {
			outcome, late = Timeout, time.Since(began) < h.config.Timeout/2
		}
		if u, ok := errors.AsType[*url.Error](cause); ok {
			cause = u.Err // without the URL
		}
		return Answer{}, &failure{outcome: outcome, cause: cause, delay: h.delay(), late: late}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.config.URL, bytes.NewReader(body))
	if err != nil {
		return fail(Connection, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "fanloop")
	sign(r.Header, h.config.Secrets, time.Now(), h.config.Kind, rand.Text(), body)
	if h.config.Tracer != nil {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	}
	response, err := h.client.Do(r)
	if err != nil {
		return fail(Connection, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fail(Status, fmt.Errorf("the answer has status %d", response.StatusCode))
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, h.config.MaxBody+1))
	switch {
	case err != nil:
		return fail(Connection, err)
	case int64(len(text)) > h.config.MaxBody:
		return fail(Body, fmt.Errorf("the answer has more than %d bytes", h.config.MaxBody))
	}
	a, err := parseAnswer(q, h.config.MaxData, text)
	if err != nil {
		return fail(Body, err)
	}
	a.Asked = began
	return a, nil
}

// failure is why there is no answer.
type failure struct {
	outcome Outcome
	cause   error
	delay   time.Duration
	late    bool // the request had less than half of the time: the others took it
}

// badName reports whether the backend answered, for a user with a name that is refused.
func (f *failure) badName() bool { return errors.Is(f.cause, names.ErrName) }

func (f *failure) Error() string {
	switch {
	case f.cause == nil:
		return fmt.Sprintf("%v (%s)", ErrUnavailable, f.outcome)
	case f.badName():
		return fmt.Sprintf("hooks: the answer of the backend cannot be used: %v", f.cause)
	}
	return fmt.Sprintf("%v (%s: %v)", ErrUnavailable, f.outcome, f.cause)
}

func (f *failure) Unwrap() []error {
	switch {
	case f.cause == nil:
		return []error{ErrUnavailable}
	case f.badName():
		return []error{f.cause} // to try again does not help
	}
	return []error{ErrUnavailable, f.cause}
}

// delay is when a client may try again: never all at the same time.
func (h *Hook) delay() time.Duration {
	return time.Second + mathrand.N(h.config.Open)
}

// DelayOf returns after what time a client that was refused by this error tries again;
// 0 if it is no error of a hook.
func DelayOf(err error) time.Duration {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.delay
	}
	return 0
}

// OutcomeOf is what became of a question with this answer, or this error of Ask.
func OutcomeOf(a Answer, err error) Outcome {
	f, failed := errors.AsType[*failure](err)
	switch {
	case failed:
		return f.outcome
	case a.Allow:
		return Allowed
	}
	return Refused
}

// causeOf is why there is no answer, nil if there is one or more is not known.
func causeOf(err error) error {
	if f, failed := errors.AsType[*failure](err); failed {
		return f.cause
	}
	return nil
}

// decide makes the answer of what became of a question, and counts it.
func (h *Hook) decide(a Answer, err error, began time.Time) (Answer, error) {
	outcome := OutcomeOf(a, err)
	h.count(outcome, causeOf(err), began)
	if failed := err != nil; failed && h.config.Otherwise == Allow && outcome != Canceled {
		return Answer{Allow: true, Otherwise: true}, nil
	}
	return a, err
}

func (h *Hook) count(outcome Outcome, cause error, began time.Time) {
	took := time.Since(began)
	for i, o := range outcomes {
		if o == outcome {
			h.counts[i].Add(1)
		}
	}
	if outcome == Allowed || outcome == Refused {
		h.took.Add(took)
	}
	if h.config.OnAnswer != nil {
		h.config.OnAnswer(h.config.Kind, outcome, cause, took)
	}
}

// tellState calls OnState if the circuit has changed. No lock is held.
func (h *Hook) tellState() {
	state := h.circuit()
	if was := h.state.Swap(state); was != state && h.config.OnState != nil {
		h.config.OnState(h.config.Kind, state)
	}
}

func (h *Hook) circuit() State {
	switch h.breaker.State() {
	case gobreaker.StateOpen:
		return IsOpen
	case gobreaker.StateHalfOpen:
		return HalfOpen
	}
	return Closed
}

// Stats are counts for metrics and the operator's page.
type Stats struct {
	Kind     Kind
	State    State
	Running  int // requests
	Pending  int // questions that run or wait
	Outcomes map[Outcome]uint64
	Shared   uint64        // questions that were asked together with others
	Took     timing.Timing // of questions with an answer
}

// Stats returns the counts.
func (h *Hook) Stats() Stats {
	s := Stats{
		Kind: h.config.Kind, State: h.circuit(), Running: len(h.running), Pending: int(h.pending.Load()),
		Outcomes: make(map[Outcome]uint64, len(outcomes)), Shared: h.shared.Load(), Took: h.took.Value(),
	}
	for i, o := range outcomes {
		s.Outcomes[o] = h.counts[i].Load()
	}
	return s
}
