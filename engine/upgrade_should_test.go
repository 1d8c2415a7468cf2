package engine_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// eachUpgrade runs a test with ShouldUpgrade on the loop and on the pool.
func eachUpgrade(t *testing.T, test func(t *testing.T, blocking bool)) {
	t.Run("on the loop", func(t *testing.T) { test(t, false) })
	t.Run("on the pool", func(t *testing.T) { test(t, true) })
}

func TestShouldUpgradeAddsHeaders(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, blocking bool) {
		addr := listen(t, &engine.Server{
			BlockingUpgrade: blocking,
			ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
				return http.Header{"X-Path": {req.Path()}, "Set-Cookie": {"a=1", "b=2"}, "X-Peer": {req.RemoteAddr()}}, nil
			},
		})
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr))
		h := c.wantUpgraded().Header
		if h.Get("X-Path") != "/chat" || len(h.Values("Set-Cookie")) != 2 || h.Get("X-Peer") != c.LocalAddr().String() {
			t.Errorf("headers %v", h)
		}
	})
}

func TestShouldUpgradeRefuses(t *testing.T) {
	redirect := &handshake.Rejection{Status: 302, Header: map[string][]string{"Location": {"/elsewhere"}}}
	cases := map[string]struct {
		err    error
		status int
		body   string
	}{
		"Reject":       {engine.Reject(http.StatusForbidden, "not here"), 403, "not here"},
		"wrapped":      {errors.Join(errors.New("secret"), engine.Reject(http.StatusUnauthorized, "who are you")), 401, "who are you"},
		"other errors": {errors.New("secret"), 500, "Internal Server Error"},
		"redirect":     {redirect, 302, "Found"},
	}
	eachUpgrade(t, func(t *testing.T, blocking bool) {
		for name, c := range cases {
			addr := listen(t, &engine.Server{
				BlockingUpgrade: blocking,
				ShouldUpgrade:   func(*engine.Request) (http.Header, error) { return nil, c.err },
				OnUpgrade:       func(*engine.WebSocket, *engine.Request) { t.Error("upgraded") },
			})
			client := dialRaw(t, addr)
			client.send(testkit.UpgradeHead(addr))
			resp, body := client.wantRefused(c.status)
			if !strings.Contains(body, c.body) || strings.Contains(body, "secret") {
				t.Errorf("%s: body %q, want %q", name, body, c.body)
			}
			if c.status == 302 && resp.Header.Get("Location") != "/elsewhere" {
				t.Errorf("%s: headers %v", name, resp.Header)
			}
		}
	})
}

// R17
func TestPanicInShouldUpgradeIs500(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, blocking bool) {
		log, book := newLog()
		addr := listen(t, &engine.Server{
			Logger:          log,
			Callbacks:       echo,
			BlockingUpgrade: blocking,
			ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
				if req.Header("X-Panic") != "" {
					panic("secret")
				}
				return nil, nil
			},
		})
		other := openRaw(t, addr)
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr, "X-Panic: 1"))
		if _, body := c.wantRefused(http.StatusInternalServerError); strings.Contains(body, "secret") {
			t.Errorf("the peer is told %q", body)
		}
		if n := book.count("panicked"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		other.send(testkit.Masked(engine.Text, "unmoved"))
		other.wantMessage(engine.Text, "unmoved")
	})
}

func TestBlockingUpgradeDoesNotHoldTheLoop(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan error)
	addr := listen(t, &engine.Server{
		Loops:           1,
		BlockingUpgrade: true,
		Callbacks:       echo,
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			if req.Header("X-Wait") == "" {
				return nil, nil
			}
			asked <- struct{}{}
			return nil, <-answer
		},
	})
	other := openRaw(t, addr)
	waiting := dialRaw(t, addr)
	waiting.send(testkit.UpgradeHead(addr, "X-Wait: 1") + testkit.Masked(engine.Text, "early"))
	within(t, "ShouldUpgrade", asked)
	waiting.send(testkit.Masked(engine.Text, "later")) // not read before the answer
	other.send(testkit.Masked(engine.Text, "unmoved"))
	other.wantMessage(engine.Text, "unmoved")
	answer <- nil
	waiting.wantUpgraded()
	waiting.wantMessage(engine.Text, "early")
	waiting.wantMessage(engine.Text, "later")
}

func TestBlockingUpgradeMayOutliveItsConnection(t *testing.T) {
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	srv := &engine.Server{
		BlockingUpgrade: true,
		Limits:          engine.Limits{HandshakeTimeout: 20 * time.Millisecond},
		ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			select {
			case asked <- struct{}{}:
			default:
			}
			<-answer
			return nil, nil
		},
		OnUpgrade: func(*engine.WebSocket, *engine.Request) { t.Error("a dead connection was upgraded") },
	}
	addr := listen(t, srv)
	eventually(t, "ShouldUpgrade within the timeout", func() bool {
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr))
		c.wantRefused(http.StatusRequestTimeout)
		_ = c.Close()
		return len(asked) > 0
	})
	eventually(t, "the end of the connections", func() bool { return srv.Conns() == 0 })
	close(answer)
}

func TestOnUpgradeComesBeforeTheFirstMessage(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, blocking bool) {
		addr := listen(t, &engine.Server{
			BlockingUpgrade: blocking,
			ShouldUpgrade:   func(*engine.Request) (http.Header, error) { return nil, nil },
			OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
				_ = ws.SendText("welcome to " + req.Path())
				ws.OnText(func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) })
			},
		})
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr) + testkit.Masked(engine.Text, "first"))
		c.wantUpgraded()
		c.wantMessage(engine.Text, "welcome to /chat")
		c.wantMessage(engine.Text, "first")
	})
}

// serverEnds are the ways to end a server, which wait for ShouldUpgrade.
var serverEnds = map[string]func(*engine.Server) error{"Shutdown": shutdown, "Close": (*engine.Server).Close}

// The end of a server waits for ShouldUpgrade on goroutines that are no loops.
func TestEndOfTheServerWaitsForShouldUpgrade(t *testing.T) {
	for how, end := range serverEnds {
		t.Run(how, func(t *testing.T) {
			eachEntrance(t, func(t *testing.T, serve entranceFunc) {
				asked, answer := make(chan struct{}), make(chan struct{})
				var returned atomic.Bool
				srv := &engine.Server{BlockingUpgrade: true, ShouldUpgrade: func(*engine.Request) (http.Header, error) {
					close(asked)
					<-answer
					time.Sleep(50 * time.Millisecond) // an end that does not wait is sooner
					returned.Store(true)
					return nil, nil
				}}
				addr := serve(t, srv)
				c := dialRaw(t, addr)
				c.send(testkit.UpgradeHead(addr))
				within(t, "ShouldUpgrade", asked)
				ended := make(chan error, 1)
				go func() { ended <- end(srv) }()
				go func() {
					_ = c.SetReadDeadline(time.Now().Add(patience))
					_, _ = c.Read(make([]byte, 1<<10))
					_ = c.Close()
				}()
				close(answer)
				if err := within(t, "the end", ended); err != nil {
					t.Error(err)
				}
				if !returned.Load() {
					t.Errorf("%s returned while ShouldUpgrade ran", how)
				}
				within(t, "Done", srv.Done())
				if !returned.Load() {
					t.Error("Done was closed while ShouldUpgrade ran")
				}
			})
		})
	}
}

// A ShouldUpgrade that does not return is left behind, and Done waits for it.
func TestShutdownIsNotHeldByShouldUpgrade(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		asked, blocked := make(chan struct{}), make(chan struct{})
		release := sync.OnceFunc(func() { close(blocked) })
		defer release()
		srv := &engine.Server{BlockingUpgrade: true, ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			close(asked)
			<-blocked
			return nil, nil
		}}
		addr := serve(t, srv)
		dialRaw(t, addr).send(testkit.UpgradeHead(addr))
		within(t, "ShouldUpgrade", asked)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		ended := make(chan error, 1)
		go func() { ended <- srv.Shutdown(ctx) }()
		if err := within(t, "the end of Shutdown", ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v, want context.Canceled among it", err)
		}
		select {
		case <-srv.Done():
			t.Error("Done is closed while ShouldUpgrade runs")
		default:
		}
		release()
		within(t, "Done", srv.Done())
	})
}

// G02: the same as in a ShouldUpgrade on the loop.
func TestEndingAServerInShouldUpgradeElsewhereIsAnError(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		srv := &engine.Server{BlockingUpgrade: true, Callbacks: echo}
		got := make(chan error, 8)
		srv.ShouldUpgrade = func(*engine.Request) (http.Header, error) {
			for _, wait := range waitsForTheEnd(srv) {
				got <- wait()
			}
			return nil, nil
		}
		openRaw(t, serve(t, srv)).exchange("goes on")
		for name := range waitsForTheEnd(srv) {
			if err := within(t, name, got); !errors.Is(err, engine.ErrInCallback) {
				t.Errorf("got %v, want ErrInCallback", err)
			}
		}
	})
}
