package pull_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

func TestErrorOfTheHandlerDecidesTheCode(t *testing.T) {
	for want, err := range map[engine.CloseError]error{
		{Code: 1000}:                             nil,
		{Code: 4003, Reason: "you know why"}:     fmt.Errorf("wrapped: %w", &engine.CloseError{Code: 4003, Reason: "you know why"}),
		{Code: 1005}:                             &engine.CloseError{Code: engine.StatusNoStatusRcvd},
		{Code: 1008, Reason: "against the rule"}: &engine.ProtocolError{Code: engine.StatusPolicyViolation, Reason: "against the rule"},
		{Code: 1011, Reason: "internal error"}:   errors.New("a secret"),
	} {
		c := dial(t, serve(t, func(context.Context, *pull.Conn, *engine.Request) error { return err }), nil)
		_, _, got := c.Read(soon(t))
		var closed *engine.CloseError
		if !errors.As(got, &closed) || *closed != want {
			t.Errorf("%v: closed with %v, want %v", err, got, want)
		}
	}
	c := dial(t, serve(t, func(context.Context, *pull.Conn, *engine.Request) error {
		return &engine.CloseError{Code: 1006}
	}), nil)
	var closed *engine.CloseError
	if _, _, err := c.Read(soon(t)); !errors.As(err, &closed) || closed.Code != 1011 {
		t.Errorf("a code that may not be sent: %v", err)
	}
}

// lines is a log that may be written by several goroutines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// The peer is told 1011 and no more, so the text is in the log: one line a second at most, however many
// handlers fail at the same time. What the peer did is not logged.
func TestErrorOfAHandlerIsLogged(t *testing.T) {
	var log lines
	const n = 3
	returned := make(chan bool, n)
	srv := &engine.Server{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	srv.OnUpgrade = pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
		m, _, err := c.Read(ctx)
		if err == nil {
			err = fmt.Errorf("no such table (%v)", m)
		}
		returned <- true
		return err
	})
	url := listen(t, srv)
	gone := dial(t, url, nil)
	gone.CloseNow()
	within(t, "the handler whose peer left", returned)
	for range n {
		c := dial(t, url, nil)
		send(t, c, "go")
		var closed *engine.CloseError
		if _, _, err := c.Read(soon(t)); !errors.As(err, &closed) || *closed != (engine.CloseError{Code: 1011, Reason: "internal error"}) {
			t.Error("closed with", err)
		}
	}
	if err := srv.Shutdown(soon(t)); err != nil { // all handlers have returned
		t.Error(err)
	}
	text := log.String()
	if lines := strings.Count(text, "a handler returned an error"); lines == 0 || lines > n || !strings.Contains(text, "no such table") || !strings.Contains(text, "peer=127.0.0.1:") {
		t.Errorf("the log has %q", text)
	}
	if strings.Contains(text, engine.ErrAbnormalClosure.Error()) {
		t.Errorf("a peer that left is in the log: %q", text)
	}
}

func TestPanicOfAHandlerCostsItsConnectionOnly(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("a mistake") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var log lines
			srv := &engine.Server{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			srv.OnUpgrade = pull.Serve(func(ctx context.Context, c *pull.Conn, req *engine.Request) error {
				for m, err := range c.Messages(ctx) {
					if err != nil {
						return err
					}
					if string(m.Data) == "leave" {
						leave()
					}
					if err := c.Write(ctx, m.Op, m.Data); err != nil {
						return err
					}
				}
				return nil
			})
			url := listen(t, srv)
			bad, good := dial(t, url, nil), dial(t, url, nil)
			send(t, bad, "leave")
			var closed *engine.CloseError
			if _, _, err := bad.Read(soon(t)); !errors.As(err, &closed) || closed.Code != engine.StatusInternalError {
				t.Error("the connection ended with", err)
			}
			send(t, good, "others go on")
			wantText(t, good, "others go on")
			if n := srv.Stats().Panics; n != 1 {
				t.Errorf("%d panics were counted", n)
			}
			if text := log.String(); !strings.Contains(text, "1011") || !strings.Contains(text, "serve_test.go") {
				t.Errorf("the log has %q", text)
			}
		})
	}
}

func TestShutdownWaitsForHandlers(t *testing.T) {
	reads, returned := make(chan bool, 1), make(chan error, 1)
	srv := new(engine.Server)
	srv.OnUpgrade = pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
		reads <- true
		_, _, err := c.Read(ctx)
		select {
		case <-srv.Done(): // too early
		case <-time.After(20 * time.Millisecond): // as if it still had something to store
			returned <- err
		}
		return err
	})
	c := dial(t, listen(t, srv), nil)
	within(t, "the handler", reads)
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	var closed *engine.CloseError
	select {
	case err := <-returned:
		if !errors.As(err, &closed) || closed.Code != engine.StatusGoingAway {
			t.Error("the handler read", err)
		}
	default:
		t.Error("Shutdown returned before the handler")
	}
	if _, _, err := c.Read(soon(t)); !errors.As(err, &closed) || closed.Code != engine.StatusGoingAway {
		t.Error("the client read", err)
	}
}

func TestShutdownLeavesBehindWhatDoesNotReturn(t *testing.T) {
	runs, goOn := make(chan bool, 1), make(chan bool)
	defer close(goOn)
	srv := &engine.Server{OnUpgrade: pull.Serve(func(context.Context, *pull.Conn, *engine.Request) error {
		runs <- true
		<-goOn
		return nil
	})}
	c := dial(t, listen(t, srv), nil)
	within(t, "the handler", runs)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		<-c.Context().Done()
		cancel(errTest)
	}()
	if err := srv.Shutdown(ctx); !errors.Is(err, errTest) {
		t.Error(err)
	}
}

// Nothing of what was written before Close is lost, though this side reads no more.
func TestCloseWaitsForThePeersAnswer(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	for range 50 {
		send(t, client, strings.Repeat("x", 10_000))
		send(t, server, strings.Repeat("y", 10_000)) // which the client does not read
	}
	came := make(chan int, 1)
	go func() {
		n := 0
		for _, err := range server.Messages(context.Background()) {
			if err != nil {
				t.Error(err)
			}
			n++
		}
		came <- n
	}()
	for _, code := range []engine.StatusCode{engine.StatusNormalClosure, 4000} {
		if err := client.Close(soon(t), code, "done"); err != nil {
			t.Error(err)
		}
	}
	if n := within(t, "the end", came); n != 50 {
		t.Errorf("%d messages came before the close frame", n)
	}
}

func TestCloseReportsWhatWentWrong(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	if err := client.Close(soon(t), 1006, ""); !errors.Is(err, engine.ErrInvalidStatus) {
		t.Error(err)
	}
	server.WebSocket().PauseReading()
	if err := client.Close(cancelled(), 1000, ""); !errors.Is(err, errTest) {
		t.Error(err)
	}
	server.CloseNow()
	if err := client.Close(soon(t), 1000, ""); !errors.Is(err, engine.ErrAbnormalClosure) {
		t.Error(err)
	}
}

func TestDialCallsOnUpgrade(t *testing.T) {
	var got *engine.WebSocket
	opt := &engine.DialOptions{OnUpgrade: func(ws *engine.WebSocket) { got = ws }}
	c := dial(t, serve(t, echo), opt)
	if got != c.WebSocket() {
		t.Error("OnUpgrade was not called")
	}
	if _, err := pull.Dial(soon(t), "http://nowhere/", nil); err == nil {
		t.Error("no error")
	}
	send(t, c, "hello")
	wantText(t, c, "hello")
}
