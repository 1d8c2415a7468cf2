package engine_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

func TestEndsAfterWhichTryingAgainWouldNotHelp(t *testing.T) {
	url := closing(t)
	for code, final := range map[int]bool{
		1000: true, 1001: false, 1002: true, 1003: true, 1007: true, 1008: true, 1009: true, 1010: true,
		1011: false, 1012: false, 1013: false, 1014: false, 3000: false, 4999: false, 0: false,
	} {
		wantVerdict(t, fmt.Sprintf("%s/%d", url, code), nil, final)
	}
	for status, final := range map[int]bool{
		200: true, 301: true, 400: true, 401: true, 403: true, 404: true, 408: false, 425: false, 426: true,
		429: false, 500: false, 501: true, 502: false, 503: false, 504: false, 505: true,
	} {
		s := answering(t, func(*http.Request) string { return fmt.Sprintf("HTTP/1.1 %d\r\nContent-Length: 0\r\n\r\n", status) })
		wantVerdict(t, "ws://"+s.addr, nil, final)
	}
	broken := answering(t, func(req *http.Request) string { return switching(req, "Sec-WebSocket-Protocol: x") })
	wantVerdict(t, "ws://"+broken.addr, nil, true)
	unmasked := answering(t, func(req *http.Request) string { return switching(req) + "\x83\x00" })
	wantVerdict(t, "ws://"+unmasked.addr, nil, true)
	gone := fake(t, func(nc net.Conn, req *http.Request) { _, _ = io.WriteString(nc, switching(req)) })
	wantVerdict(t, "ws://"+gone.addr, nil, false)
	round := answering(t, func(*http.Request) string { return redirecting("302", "/") })
	wantVerdict(t, "ws://"+round.addr, &engine.DialOptions{MaxRedirects: 1}, true)

	for err, final := range map[error]bool{
		x509.UnknownAuthorityError{}:                              true,
		loop.ErrStopped:                                           true,
		&handshake.HeaderError{}:                                  true,
		&engine.OptionError{}:                                     true,
		&engine.ProxyError{Status: 407}:                           true,
		&engine.ProxyError{Status: 502}:                           false,
		&engine.ProxyError{Cause: errors.ErrUnsupported}:          true,
		&engine.ProxyError{Cause: &handshake.ResponseError{}}:     true,
		&engine.ProxyError{Cause: io.EOF}:                         false,
		&net.DNSError{IsNotFound: true}:                           false,
		engine.ErrHandshakeTimeout:                                false,
		&net.OpError{Op: "dial", Err: errors.New("out of reach")}: false,
	} {
		wantVerdict(t, "ws://a.test/", nobody(err), final)
	}
	if _, err := engine.DialReconnecting(context.Background(), "ws://", nil, engine.ReconnectPolicy{}); err == nil {
		t.Error("an invalid URL is no error")
	}
}

// wantVerdict lets the first end be the last that may be retried.
func wantVerdict(t *testing.T, url string, opt *engine.DialOptions, final bool) {
	t.Helper()
	r := reconnecting(t, url, opt, newSlowestClock().of(engine.ReconnectPolicy{MaxAttempts: 1}))
	within(t, "the end", r.Done())
	if err := r.Err(); err == nil || errors.Is(err, engine.ErrGaveUp) == final {
		t.Errorf("%s: Err is %v; is that final: want %v", url, err, final)
	}
}

func TestCloseEndsReconnectingInEveryState(t *testing.T) {
	for _, state := range []string{"dialing", "connected", "waiting", "given up"} {
		t.Run(state, func(t *testing.T) {
			closes := make(chan engine.StatusCode, 1)
			opened := make(chan struct{}, 1)
			addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
				OnClose: func(_ *engine.WebSocket, code engine.StatusCode, _ string) { closes <- code },
			}})
			clock, opt, policy := newHeld(), nobody(io.EOF), engine.ReconnectPolicy{
				OnConnect: func(ws *engine.WebSocket, _ int) {
					_ = ws.Do(func() { opened <- struct{}{} }) // behind the opening handshake
				},
			}
			switch state {
			case "dialing":
				opt.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					opened <- struct{}{}
					<-ctx.Done()
					return nil, ctx.Err()
				}
			case "connected":
				opt = nil
			case "given up":
				policy.MaxAttempts = 1
			}
			r := reconnecting(t, "ws://"+addr, opt, clock.of(policy))
			switch state {
			case "waiting":
				within(t, "the wait", clock.waiting)
			case "given up":
				within(t, "the end", r.Done())
			default:
				within(t, "the dial", opened)
			}
			if err := r.Close(1005+1, ""); !errors.Is(err, engine.ErrInvalidStatus) {
				t.Errorf("Close with 1006: %v, want ErrInvalidStatus", err)
			}
			if err := r.Close(4002, "enough"); err != nil {
				t.Error("Close:", err)
			}
			if err := r.SendText("late"); !errors.Is(err, engine.ErrClosed) || errors.Is(err, engine.ErrNotConnected) {
				t.Errorf("Send after Close: %v, want ErrClosed", err)
			}
			_ = r.Close(4003, "again")
			within(t, "the end", r.Done())
			if err := r.Err(); (err != nil) != (state == "given up") {
				t.Errorf("Err after Close: %v", err)
			}
			if state == "connected" {
				if code := within(t, "the close of the server's side", closes); code != 4002 {
					t.Errorf("the server saw %d, want 4002", uint16(code))
				}
			}
		})
	}
}

func TestReconnectingEndsWithItsContext(t *testing.T) {
	closes := make(chan engine.StatusCode, 1)
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
		OnClose: func(_ *engine.WebSocket, code engine.StatusCode, _ string) { closes <- code },
	}})
	why := errors.New("not wanted any more")
	ctx, cancel := context.WithCancelCause(context.Background())
	opened := make(chan struct{}, 1)
	r, err := engine.DialReconnecting(ctx, "ws://"+addr, nil, engine.ReconnectPolicy{
		OnConnect: func(ws *engine.WebSocket, _ int) {
			_ = ws.Do(func() { opened <- struct{}{} }) // behind the opening handshake
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "the connection", opened)
	if err := r.Err(); err != nil {
		t.Errorf("Err before the end: %v", err)
	}
	cancel(why)
	within(t, "the end", r.Done())
	if !errors.Is(r.Err(), why) {
		t.Errorf("Err is %v, want the cause of the context", r.Err())
	}
	if code := within(t, "the close of the server's side", closes); code != engine.StatusGoingAway {
		t.Errorf("the server saw %d, want 1001", uint16(code))
	}
}

// L07
func TestReconnectingEndsWithItsGroup(t *testing.T) {
	group, err := loop.Start(loop.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan struct{}, 1)
	addr := listen(t, &engine.Server{})
	r := reconnecting(t, "ws://"+addr, &engine.DialOptions{Group: group}, engine.ReconnectPolicy{
		OnConnect: func(*engine.WebSocket, int) { opened <- struct{}{} },
	})
	within(t, "the connection", opened)
	if err := group.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	within(t, "the end", r.Done())
	if !errors.Is(r.Err(), loop.ErrStopped) {
		t.Errorf("Err is %v, want loop.ErrStopped", r.Err())
	}
	if err := r.SendText("late"); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Send after the end: %v, want ErrClosed", err)
	}
}
