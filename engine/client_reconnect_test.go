package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// slowestClock is time that passes only while it is waited for or told to, and
// chance that always waits the longest.
type slowestClock struct {
	mu   sync.Mutex
	time time.Time
}

func newSlowestClock() *slowestClock {
	return &slowestClock{time: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (c *slowestClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *slowestClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(d)
}

func (c *slowestClock) sleep(ctx context.Context, d time.Duration) error {
	c.pass(d)
	return ctx.Err()
}

func longest(n int64) int64 { return n - 1 }

func (c *slowestClock) of(p engine.ReconnectPolicy) engine.ReconnectPolicy {
	return p.WithClock(c.now, c.sleep, longest)
}

// retries notes what OnRetry is told.
type retries struct {
	mu     sync.Mutex
	delays []time.Duration
	errs   []error
}

func (r *retries) note(err error, delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delays = append(r.delays, delay)
	r.errs = append(r.errs, err)
}

func (r *retries) want(t *testing.T, want ...time.Duration) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.delays, want) {
		t.Errorf("the waits were %v, want %v", r.delays, want)
	}
}

// reconnecting begins DialReconnecting and ends it with the test.
func reconnecting(t *testing.T, url string, opt *engine.DialOptions, policy engine.ReconnectPolicy) *engine.ReconnectingClient {
	t.Helper()
	r, err := engine.DialReconnecting(context.Background(), url, opt, policy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close(engine.StatusNormalClosure, "")
		within(t, "the end of reconnecting", r.Done())
	})
	return r
}

// nobody is a dialer that reaches no one.
func nobody(err error) *engine.DialOptions {
	return &engine.DialOptions{NetDial: func(context.Context, string, string) (net.Conn, error) { return nil, err }}
}

func TestWaitsGrowUpToTheirBound(t *testing.T) {
	why := errors.New("unplugged")
	clock, seen := newSlowestClock(), new(retries)
	r := reconnecting(t, "ws://a.test/", nobody(why), clock.of(engine.ReconnectPolicy{MaxAttempts: 12, OnRetry: seen.note}))
	within(t, "the end", r.Done())
	const ms = time.Millisecond
	seen.want(t, 100*ms, 200*ms, 400*ms, 800*ms, 1600*ms, 3200*ms, 6400*ms, 12800*ms, 25600*ms, 30000*ms, 30000*ms)
	if err := r.Err(); !errors.Is(err, engine.ErrGaveUp) || !errors.Is(err, why) || !errors.Is(seen.errs[0], why) {
		t.Errorf("Err is %v, OnRetry got %v; want ErrGaveUp and what the dialer said", err, seen.errs[0])
	} else if !strings.HasPrefix(err.Error(), "engine: gave up reconnecting after 12 attempts; the last error: ") {
		t.Errorf("Err says %q", err)
	}
}

func TestWaitIsRandomFromZeroToItsCeiling(t *testing.T) {
	clock, seen := newSlowestClock(), new(retries)
	var bounds []int64
	rand := func(n int64) int64 {
		bounds = append(bounds, n)
		return n / 4
	}
	policy := engine.ReconnectPolicy{MaxAttempts: 4, OnRetry: seen.note, BaseDelay: 100, MaxDelay: 300}
	r := reconnecting(t, "ws://a.test/", nobody(io.EOF), policy.WithClock(clock.now, clock.sleep, rand))
	within(t, "the end", r.Done())
	if !slices.Equal(bounds, []int64{101, 201, 301}) {
		t.Errorf("chance was asked for numbers below %v", bounds)
	}
	seen.want(t, 25, 50, 75)
}

func TestMaxElapsedEndsTheAttempts(t *testing.T) {
	clock, seen := newSlowestClock(), new(retries)
	policy := engine.ReconnectPolicy{MaxElapsed: time.Second, OnRetry: seen.note}
	r := reconnecting(t, "ws://a.test/", nobody(io.EOF), clock.of(policy))
	within(t, "the end", r.Done())
	const ms = time.Millisecond
	seen.want(t, 100*ms, 200*ms, 400*ms) // another 800 would be too late
	if err := r.Err(); !errors.Is(err, engine.ErrGaveUp) || !strings.Contains(err.Error(), "reconnecting because the next attempt would be after more than ") {
		t.Errorf("Err is %v, want ErrGaveUp", err)
	}
}

// closing is a server that closes every connection with the code in its path.
func closing(t *testing.T) string {
	t.Helper()
	return "ws://" + listen(t, &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			var code engine.StatusCode
			_, _ = fmt.Sscanf(req.Path(), "/%d", &code)
			_ = ws.Close(code, "as asked")
		},
	})
}

// A server that accepts and closes at once must not be hammered.
func TestOnlyAStableConnectionBeginsTheWaitsAnew(t *testing.T) {
	clock, seen := newSlowestClock(), new(retries)
	stood := []time.Duration{0, 9 * time.Second, 10 * time.Second, 0, 0, 0}
	n := 0
	opt := &engine.DialOptions{Callbacks: engine.Callbacks{
		OnClose: func(*engine.WebSocket, engine.StatusCode, string) { clock.pass(stood[n-1]) },
	}}
	policy := engine.ReconnectPolicy{
		BaseDelay: time.Second, MaxDelay: time.Hour, StableAfter: 10 * time.Second, MaxAttempts: 3,
		OnRetry:   seen.note,
		OnConnect: func(_ *engine.WebSocket, nth int) { n = nth },
	}
	r := reconnecting(t, closing(t)+"/1011", opt, clock.of(policy))
	within(t, "the end", r.Done())
	const s = time.Second
	seen.want(t, 1*s, 2*s, 1*s, 2*s, 4*s)
	var closed *engine.CloseError
	if err := r.Err(); n != 6 || !errors.Is(err, engine.ErrGaveUp) || !errors.As(err, &closed) || *closed != (engine.CloseError{Code: 1011, Reason: "as asked"}) {
		t.Errorf("after %d connections Err is %v, want ErrGaveUp with the last close code", n, err)
	}
}

// G01: one whose OnUpgrade does not return did not stand, either.
func TestConnectionWhoseOnUpgradePanicsIsNotStable(t *testing.T) {
	clock, seen := newSlowestClock(), new(retries)
	opt := &engine.DialOptions{OnUpgrade: func(*engine.WebSocket) { panic("oops") }}
	policy := engine.ReconnectPolicy{BaseDelay: time.Second, MaxDelay: time.Hour, StableAfter: 10 * time.Second, MaxAttempts: 4, OnRetry: seen.note}
	r := reconnecting(t, "ws://"+listen(t, &engine.Server{})+"/", opt, clock.of(policy))
	within(t, "the end", r.Done())
	const s = time.Second
	seen.want(t, 1*s, 2*s, 4*s)
	var panicked *engine.PanicError
	if err := r.Err(); !errors.Is(err, engine.ErrGaveUp) || !errors.As(err, &panicked) {
		t.Errorf("Err is %v, want ErrGaveUp with the panic", err)
	}
}

func TestServerSaysWhenToComeBack(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	refusing := func(line string) string {
		return "ws://" + answering(t, func(*http.Request) string { return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n" + line + "\r\n\r\n" }).addr
	}
	lowest := func(int64) int64 { return 0 }
	for name, c := range map[string]struct {
		url    string
		rand   func(int64) int64
		delays []time.Duration
	}{
		"restart, latest":      {closing(t) + "/1012", longest, []time.Duration{5 * s, 5 * s}},
		"restart, soonest":     {closing(t) + "/1012", lowest, []time.Duration{0, 0}},
		"overload, latest":     {closing(t) + "/1013", longest, []time.Duration{30 * s, 30 * s}},
		"overload, soonest":    {closing(t) + "/1013", lowest, []time.Duration{15 * s, 15 * s}},
		"seconds":              {refusing("Retry-After: 7"), longest, []time.Duration{7*s + 100*ms, 7*s + 200*ms}},
		"date":                 {refusing("Retry-After: Sat, 01 Jan 2000 00:01:00 GMT"), lowest, []time.Duration{60 * s, 0}},
		"Retry-After nonsense": {refusing("Retry-After: soon"), longest, []time.Duration{100 * ms, 200 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			clock, seen := newSlowestClock(), new(retries)
			policy := engine.ReconnectPolicy{MaxAttempts: 3, OnRetry: seen.note}
			r := reconnecting(t, c.url, nil, policy.WithClock(clock.now, clock.sleep, c.rand))
			within(t, "the end", r.Done())
			seen.want(t, c.delays...)
		})
	}
}

// held is a clock whose waits begin with a word on waiting and end with one on
// goOn, or with ctx.
type held struct {
	*slowestClock
	waiting, goOn chan struct{}
}

func newHeld() *held {
	return &held{newSlowestClock(), make(chan struct{}, 16), make(chan struct{}, 16)}
}

func (h *held) of(p engine.ReconnectPolicy) engine.ReconnectPolicy {
	return p.WithClock(h.now, func(ctx context.Context, _ time.Duration) error {
		h.waiting <- struct{}{}
		select {
		case <-h.goOn:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, longest)
}

func TestSendBetweenConnectionsIsRefusedAndSubscribingComesFirst(t *testing.T) {
	received := make(chan string, 1024)
	servers := make(chan *engine.WebSocket, 16)
	addr := listen(t, &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { servers <- ws },
		Callbacks: engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) { received <- string(text) }},
	})
	clock := newHeld()
	upgraded := 0
	r := reconnecting(t, "ws://"+addr, &engine.DialOptions{OnUpgrade: func(*engine.WebSocket) { upgraded++ }},
		clock.of(engine.ReconnectPolicy{OnConnect: func(ws *engine.WebSocket, n int) {
			if upgraded != n {
				t.Errorf("OnUpgrade was called %d times before OnConnect of connection %d", upgraded, n)
			}
			_ = ws.SendText(fmt.Sprint("subscribe ", n))
		}}))
	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() { // all the time
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := r.SendText("news"); err != nil && !errors.Is(err, engine.ErrNotConnected) {
				t.Error("Send:", err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	for n := range 3 {
		ws := within(t, "the connection", servers)
		if got := within(t, "the first message", received); got != fmt.Sprint("subscribe ", n+1) {
			t.Errorf("connection %d began with %q", n+1, got)
		}
		if got := within(t, "the second message", received); got != "news" {
			t.Errorf("connection %d went on with %q", n+1, got)
		}
		ws.CloseNow()
		within(t, "the wait", clock.waiting)
		<-ws.Done()
		for len(received) > 0 {
			<-received
		}
		if r.Current() != nil {
			t.Error("there is a connection between connections")
		}
		for name, err := range map[string]error{
			"Send": r.Send(engine.Text, nil), "SendText": r.SendText(""), "SendBinary": r.SendBinary(nil),
		} {
			if !errors.Is(err, engine.ErrNotConnected) {
				t.Errorf("%s between connections: %v, want ErrNotConnected", name, err)
			}
		}
		clock.goOn <- struct{}{}
	}
	within(t, "the connection", servers)
	close(stop)
	sender.Wait()
}
