package engine_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/loop"
)

// A token is valid for one connection, and the servers take turns.
func TestPrepareMakesURLAndHeadersAnewForEachAttempt(t *testing.T) {
	seen := make(chan string, 16)
	var addrs []string
	for i := range 2 {
		s := answering(t, func(req *http.Request) string {
			seen <- fmt.Sprintf("server %d: %s %q %q", i, req.URL.Path, req.Header["X-Token"], req.Header["X-Own"])
			return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
		})
		addrs = append(addrs, s.addr)
	}
	opt := &engine.DialOptions{Header: http.Header{"X-Own": {"always"}}}
	policy := engine.ReconnectPolicy{
		MaxAttempts: 3,
		Prepare: func(_ context.Context, a *engine.Attempt) error {
			if a.URL != "ws://a.test/" || (a.Err == nil) != (a.N == 1) {
				t.Errorf("attempt %d begins with %s after %v", a.N, a.URL, a.Err)
			}
			var refused *engine.StatusError
			if a.N > 1 && !errors.As(a.Err, &refused) {
				t.Errorf("attempt %d comes after %v, want the refusal", a.N, a.Err)
			}
			a.URL = fmt.Sprintf("ws://%s/%d", addrs[a.N%2], a.N)
			a.Header.Add("X-Token", fmt.Sprint("token ", a.N))
			return nil
		},
	}
	r := reconnecting(t, "ws://a.test/", opt, newSlowestClock().of(policy))
	within(t, "the end", r.Done())
	for n, want := range []string{
		`server 1: /1 ["token 1"] ["always"]`, `server 0: /2 ["token 2"] ["always"]`, `server 1: /3 ["token 3"] ["always"]`,
	} {
		if got := within(t, "a request", seen); got != want {
			t.Errorf("attempt %d: %s, want %s", n+1, got, want)
		}
	}
	if len(opt.Header) != 1 {
		t.Errorf("the header of the options was changed: %v", opt.Header)
	}
}

func TestPrepareMayGiveTheOnlyURL(t *testing.T) {
	addr := listen(t, &engine.Server{})
	opened := make(chan struct{})
	r := reconnecting(t, "", nil, newHeld().of(engine.ReconnectPolicy{
		Prepare: func(_ context.Context, a *engine.Attempt) error {
			a.Header.Set("X", "y") // of no options
			a.URL = "ws://" + addr
			return nil
		},
		OnConnect: func(*engine.WebSocket, int) { close(opened) },
	}))
	within(t, "the connection", opened)
	_ = r.Close(engine.StatusNormalClosure, "")
}

// An invalid URL may be another one at the next attempt; an error of
// Prepare says nothing about the server, whatever it wraps.
func TestErrorOfPrepareIsAFailedAttempt(t *testing.T) {
	why := fmt.Errorf("the token server: %w", x509.UnknownAuthorityError{})
	for name, c := range map[string]struct {
		prepare func(a *engine.Attempt) error
		wraps   func(err error) bool
	}{
		"an error": {func(*engine.Attempt) error { return why }, func(err error) bool { return errors.Is(err, why) }},
		"no URL": {func(a *engine.Attempt) error { a.URL = "ftp://a.test/"; return nil }, func(err error) bool {
			var url *engine.URLError
			return errors.As(err, &url)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			clock, seen := newSlowestClock(), new(retries)
			r := reconnecting(t, "ws://a.test/", nobody(io.EOF), clock.of(engine.ReconnectPolicy{
				MaxAttempts: 3,
				OnRetry:     seen.note,
				Prepare:     func(_ context.Context, a *engine.Attempt) error { return c.prepare(a) },
			}))
			within(t, "the end", r.Done())
			seen.want(t, 100*time.Millisecond, 200*time.Millisecond)
			if err := r.Err(); !errors.Is(err, engine.ErrGaveUp) || !c.wraps(err) {
				t.Errorf("Err is %v, want ErrGaveUp and the error", err)
			}
			for _, err := range seen.errs {
				if !c.wraps(err) {
					t.Errorf("OnRetry got %v, want the error", err)
				}
			}
		})
	}
}

func TestCloseEndsPrepare(t *testing.T) {
	preparing := make(chan struct{})
	r := reconnecting(t, "ws://a.test/", nobody(io.EOF), newHeld().of(engine.ReconnectPolicy{
		Prepare: func(ctx context.Context, _ *engine.Attempt) error {
			close(preparing)
			<-ctx.Done()
			return ctx.Err()
		},
	}))
	within(t, "Prepare", preparing)
	_ = r.Close(engine.StatusNormalClosure, "")
	within(t, "the end", r.Done())
	if err := r.Err(); err != nil {
		t.Errorf("Err after Close is %v", err)
	}
}

func TestShouldRetryOverrulesBothWays(t *testing.T) {
	url := closing(t)
	for _, c := range []struct {
		code      int
		retry     bool // what ShouldRetry is given
		verdict   bool
		wantFinal bool
	}{
		{1008, false, false, true}, {1008, false, true, false}, {1011, true, true, false}, {1011, true, false, true}, {4001, true, false, true},
	} {
		policy := engine.ReconnectPolicy{MaxAttempts: 2, ShouldRetry: func(err error, retry bool) bool {
			var closed *engine.CloseError
			if !errors.As(err, &closed) || int(closed.Code) != c.code || retry != c.retry {
				t.Errorf("%d: asked about %v, which would be retried: %v", c.code, err, retry)
			}
			return c.verdict
		}}
		r := reconnecting(t, fmt.Sprintf("%s/%d", url, c.code), nil, newSlowestClock().of(policy))
		within(t, "the end", r.Done())
		if err := r.Err(); err == nil || errors.Is(err, engine.ErrGaveUp) == c.wantFinal {
			t.Errorf("%d, verdict %v: Err is %v", c.code, c.verdict, err)
		}
	}
}

// Without its loops a client can do nothing.
func TestEndOfTheGroupIsFinalWhateverShouldRetrySays(t *testing.T) {
	group, err := loop.Start(loop.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := group.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	r := reconnecting(t, "ws://a.test/", &engine.DialOptions{Group: group}, newSlowestClock().of(engine.ReconnectPolicy{
		MaxAttempts: 2,
		ShouldRetry: func(error, bool) bool { return true },
	}))
	within(t, "the end", r.Done())
	if err := r.Err(); !errors.Is(err, loop.ErrStopped) || errors.Is(err, engine.ErrGaveUp) {
		t.Errorf("Err is %v, want the end of the group", err)
	}
}

// What a WebSocket sends, its client sends on the connection of the moment.
func TestSendsOfAReconnectingClient(t *testing.T) {
	got := make(chan string, 16)
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
		OnText:   func(_ *engine.WebSocket, text []byte) { got <- "text " + string(text) },
		OnBinary: func(_ *engine.WebSocket, data []byte) { got <- "binary " + string(data) },
		OnPing:   func(_ *engine.WebSocket, payload []byte) { got <- "ping " + string(payload) },
	}})
	prepared, err := engine.Prepare(engine.Text, []byte("d"))
	if err != nil {
		t.Fatal(err)
	}
	var r *engine.ReconnectingClient
	sends := []struct {
		want string
		send func() error
	}{
		{"text a", func() error { return r.Send(engine.Text, []byte("a")) }},
		{"text b", func() error { return r.SendText("b") }},
		{"binary c", func() error { return r.SendBinary([]byte("c")) }},
		{"text d", func() error { return r.SendPrepared(prepared) }},
		{"ping e", func() error { return r.Ping([]byte("e")) }},
	}
	clock := newHeld()
	r = reconnecting(t, "ws://"+addr, nil, clock.of(engine.ReconnectPolicy{
		Prepare: func(_ context.Context, a *engine.Attempt) error {
			if a.N == 1 {
				return io.EOF
			}
			return nil
		},
	}))
	within(t, "the wait", clock.waiting)
	for _, s := range sends {
		if err := s.send(); !errors.Is(err, engine.ErrNotConnected) {
			t.Errorf("%s without a connection: %v, want ErrNotConnected", s.want, err)
		}
	}
	if n := r.Buffered(); n != 0 {
		t.Errorf("%d bytes are queued for no connection", n)
	}
	clock.goOn <- struct{}{}
	eventually(t, "the connection", func() bool { return r.Current() != nil })
	for _, s := range sends {
		if err := s.send(); err != nil {
			t.Errorf("%s: %v", s.want, err)
		}
		if msg := within(t, "the message", got); msg != s.want {
			t.Errorf("got %q, want %q", msg, s.want)
		}
	}
	_ = r.Close(engine.StatusNormalClosure, "")
	for _, s := range sends {
		if err := s.send(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", s.want, err)
		}
	}
}
