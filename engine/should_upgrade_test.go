package engine_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
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
		c.send(upgradeHead(addr))
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
			client.send(upgradeHead(addr))
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
		c.send(upgradeHead(addr, "X-Panic: 1"))
		if _, body := c.wantRefused(http.StatusInternalServerError); strings.Contains(body, "secret") {
			t.Errorf("the peer is told %q", body)
		}
		if n := book.count("panicked"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		other.send(masked(engine.Text, "unmoved"))
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
	waiting.send(upgradeHead(addr, "X-Wait: 1") + masked(engine.Text, "early"))
	within(t, "ShouldUpgrade", asked)
	waiting.send(masked(engine.Text, "later")) // not read before the answer
	other.send(masked(engine.Text, "unmoved"))
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
		c.send(upgradeHead(addr))
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
		c.send(upgradeHead(addr) + masked(engine.Text, "first"))
		c.wantUpgraded()
		c.wantMessage(engine.Text, "welcome to /chat")
		c.wantMessage(engine.Text, "first")
	})
}
