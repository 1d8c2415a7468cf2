package engine_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// choosing is a server whose ShouldUpgrade makes a choice for /chat.
func choosing(choose func(req *engine.Request)) *engine.Server {
	return &engine.Server{
		Callbacks: echo,
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			choose(req)
			return nil, nil
		},
	}
}

func TestChosenValueIsTheWebSockets(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		srv, values := choosing(func(req *engine.Request) { req.Value = "alice" }), make(chan any, 1)
		srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) { values <- engine.Get[string](ws) }
		openRaw(t, serve(t, srv))
		if v := within(t, "OnUpgrade", values); v != "alice" {
			t.Errorf("the value is %v", v)
		}
	})
}

// Token authentication puts a token among the subprotocols.
func TestChosenSubprotocol(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		log, book := newLog()
		srv := choosing(func(req *engine.Request) { req.Subprotocol = req.Header("X-Choose") })
		srv.Subprotocols, srv.Logger = []string{"first", "second"}, log
		addr := serve(t, srv)
		offers := "Sec-WebSocket-Protocol: second, first, token.abc"
		for choice, want := range map[string]string{"": "first", "second": "second", "token.abc": "token.abc"} {
			c := dialRaw(t, addr)
			c.send(testkit.UpgradeHead(addr, offers, "X-Choose: "+choice))
			if got := c.wantUpgraded().Header.Get("Sec-WebSocket-Protocol"); got != want {
				t.Errorf("choosing %q agreed on %q, want %q", choice, got, want)
			}
		}
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr, offers, "X-Choose: third"))
		c.wantRefused(http.StatusInternalServerError)
		if book.count("ShouldUpgrade") != 1 {
			t.Error("the log does not say why")
		}
	})
}

func TestChosenCompression(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		srv := choosing(func(req *engine.Request) { req.NoCompression = req.Header("X-Plain") != "" })
		srv.Compression = &engine.Compression{}
		addr := serve(t, srv)
		offer := "Sec-WebSocket-Extensions: permessage-deflate"
		for header, want := range map[string]bool{"X-Plain: 1": false, "X-Other: 1": true} {
			if c := openRaw(t, addr, offer, header); (c.extensions != "") != want {
				t.Errorf("%s agreed on %q", header, c.extensions)
			}
		}
	})
}

// They count for what comes in the packet of the request.
func TestChosenLimitsHoldFromTheFirstFrame(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		srv := choosing(func(req *engine.Request) {
			if req.Header("X-Small") != "" {
				req.Limits = &engine.Limits{MaxMessage: 10}
			}
		})
		srv.Compression = &engine.Compression{}
		addr := serve(t, srv)
		for name, offer := range map[string]string{"plain": "X-A: b", "compressed": "Sec-WebSocket-Extensions: permessage-deflate"} {
			t.Run(name, func(t *testing.T) {
				c, other := dialRaw(t, addr), dialRaw(t, addr)
				c.send(testkit.UpgradeHead(addr, "X-Small: 1", offer) + testkit.Masked(engine.Text, "0123456789") + testkit.Masked(engine.Text, "0123456789a"))
				other.send(testkit.UpgradeHead(addr, offer) + testkit.Masked(engine.Text, "0123456789a"))
				c.wantUpgraded()
				c.wantMessage(engine.Text, "0123456789")
				c.wantClose(engine.StatusMessageTooBig)
				other.wantUpgraded()
				other.wantMessage(engine.Text, "0123456789a")
			})
		}
	})
}

func TestChosenCallbacks(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		shout := &engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
			_ = ws.SendText(strings.ToUpper(string(text)))
		}}
		srv := choosing(func(req *engine.Request) { req.Callbacks = shout })
		srv.OnUpgrade = func(ws *engine.WebSocket, req *engine.Request) {
			if req.Header("X-Quiet") != "" { // which must not change what others have
				ws.OnText(func(ws *engine.WebSocket, text []byte) { _ = ws.SendText("-") })
			}
		}
		addr := serve(t, srv)
		for header, want := range map[string]string{"X-Quiet: 1": "-", "X-Other: 1": "HELLO"} {
			c := dialRaw(t, addr)
			c.send(testkit.UpgradeHead(addr, header) + testkit.Masked(engine.Text, "hello"))
			c.wantUpgraded()
			c.wantMessage(engine.Text, want)
		}
		if c := openRaw(t, addr); true {
			c.send(testkit.Masked(engine.Text, "hello"))
			c.wantMessage(engine.Text, "HELLO")
		}
	})
}

// An invalid choice refuses the request, and the log says why.
func TestChoicesThatCannotBeMeant(t *testing.T) {
	for name, choose := range map[string]func(req *engine.Request){
		"negative":           func(req *engine.Request) { req.Limits = &engine.Limits{MaxMessage: -2} },
		"not a connection's": func(req *engine.Request) { req.Limits = &engine.Limits{MaxHead: 1 << 10} },
		"Slow":               func(req *engine.Request) { req.Slow = &engine.Slow{Policy: 99} },
	} {
		t.Run(name, func(t *testing.T) {
			eachEntrance(t, func(t *testing.T, serve entranceFunc) {
				log, book := newLog()
				srv := choosing(choose)
				srv.Logger = log
				addr := serve(t, srv)
				c := dialRaw(t, addr)
				c.send(testkit.UpgradeHead(addr))
				c.wantRefused(http.StatusInternalServerError)
				if book.count("ShouldUpgrade failed") != 1 {
					t.Error("the log does not say why")
				}
			})
		})
	}
}

func TestSetLimitsWhileOpen(t *testing.T) {
	const login, text = "login", "0123456789a"
	results := make(chan error, 8)
	srv := &engine.Server{
		Compression: &engine.Compression{},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			results <- ws.SetLimits(engine.Limits{MaxMessage: 10})
		},
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, p []byte) {
			if string(p) == login {
				results <- ws.SetLimits(engine.Limits{})
			}
			_ = ws.Send(engine.Text, p)
		}},
	}
	addr := listen(t, srv)
	for _, offer := range []string{"X-A: b", "Sec-WebSocket-Extensions: permessage-deflate"} {
		c, other := dialRaw(t, addr), dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr, offer) + testkit.Masked(engine.Text, login) + testkit.Masked(engine.Text, text))
		other.send(testkit.UpgradeHead(addr, offer) + testkit.Masked(engine.Text, text))
		c.wantUpgraded()
		c.wantMessage(engine.Text, login)
		c.wantMessage(engine.Text, text)
		other.wantUpgraded()
		other.wantClose(engine.StatusMessageTooBig)
		for range 3 {
			if err := within(t, "SetLimits", results); err != nil {
				t.Error(err)
			}
		}
	}
}

// setLimits calls SetLimits on the owning loop.
func setLimits(t *testing.T, ws *engine.WebSocket, l engine.Limits) error {
	t.Helper()
	done := make(chan error, 1)
	if err := ws.Do(func() { done <- ws.SetLimits(l) }); err != nil {
		t.Fatal(err)
	}
	return within(t, "SetLimits", done)
}

// Any goroutine that sends finds the new limits.
func TestSetLimitsOfTheQueue(t *testing.T) {
	needs(t, fullSockets)
	opened := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{
		Limits:    engine.Limits{MaxQueued: 64 << 10},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
	}
	openNarrow(t, listen(t, srv))
	ws := within(t, "OnUpgrade", opened)
	for ws.SendBinary(pattern(32<<10)) == nil {
	}
	for _, step := range []struct {
		limits engine.Limits
		want   error
	}{
		{engine.Limits{MaxQueued: 1 << 20}, nil},
		{engine.Limits{MaxQueued: engine.NoLimit}, nil},
		{engine.Limits{}, engine.ErrBackpressure},
	} {
		if err := setLimits(t, ws, step.limits); err != nil {
			t.Fatal(err)
		}
		if err := ws.SendBinary(pattern(32 << 10)); !errors.Is(err, step.want) {
			t.Errorf("with %+v a send returned %v, want %v", step.limits, err, step.want)
		}
	}
}

func TestSetLimitsOfTimersCountAtOnce(t *testing.T) {
	opened := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
	clock := drive(t, srv)
	c := openRaw(t, listen(t, srv))
	ws := within(t, "OnUpgrade", opened)
	if err := setLimits(t, ws, engine.Limits{PingInterval: time.Second}); err != nil {
		t.Fatal(err)
	}
	clock.step(2 * time.Second)
	c.wantFrame(codec.Ping, true, "")
	clock.step(2 * time.Second) // PongTimeout follows PingInterval
	c.wantGone()
}

func TestSetLimitsRefuses(t *testing.T) {
	opened := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
	openRaw(t, listen(t, srv))
	ws := within(t, "OnUpgrade", opened)
	for _, l := range []engine.Limits{
		{MaxHead: 1 << 10}, {MaxHeaders: 1}, {HandshakeTimeout: time.Second}, {MaxMemory: 1 << 20}, {MaxConnections: 1},
		{MaxMessage: -2}, {HighWater: 1 << 20, MaxQueued: 1}, {PingInterval: engine.NoLimit, PongTimeout: time.Second},
	} {
		var mistake *engine.OptionError
		if err := setLimits(t, ws, l); !errors.As(err, &mistake) {
			t.Errorf("SetLimits(%+v) returned %v, want an OptionError", l, err)
		}
	}
	done := make(chan error, 1)
	_ = ws.Do(func() { // it is open
		_ = ws.Close(engine.StatusNormalClosure, "")
		done <- ws.SetLimits(engine.Limits{MaxMessage: 1})
	})
	if err := within(t, "SetLimits", done); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("SetLimits after Close returned %v, want ErrClosed", err)
	}
}

// Connections with the same limits of their own share what they go by.
func TestOwnLimitsAreShared(t *testing.T) {
	opened := make(chan *engine.WebSocket, 2)
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		if err := ws.SetLimits(engine.Limits{MaxMessage: 10}); err != nil {
			t.Error(err)
		}
		opened <- ws
	}}
	addr := listen(t, srv)
	openRaw(t, addr)
	openRaw(t, addr)
	if !engine.SameSettings(within(t, "OnUpgrade", opened), within(t, "OnUpgrade", opened)) {
		t.Error("each has its own")
	}
}

// What a server asked for gives way to what its endpoint or a connection asks for,
// where the two make no sense together. What one Limits contradicts itself is refused.
func TestInheritedLimitsGiveWay(t *testing.T) {
	for name, k := range map[string]struct{ server, own, want engine.Limits }{
		"no pings, so no PongTimeout": {
			engine.Limits{PingInterval: time.Second, PongTimeout: time.Second},
			engine.Limits{PingInterval: engine.NoLimit},
			engine.Limits{PingInterval: engine.NoLimit}},
		"a PongTimeout that has a meaning stays": {
			engine.Limits{PingInterval: time.Second, PongTimeout: time.Second},
			engine.Limits{PingInterval: time.Minute},
			engine.Limits{PingInterval: time.Minute, PongTimeout: time.Second}},
		"both marks follow a smaller queue": {
			engine.Limits{MaxQueued: 1 << 20, HighWater: 1 << 20, LowWater: 512 << 10},
			engine.Limits{MaxQueued: 100 << 10},
			engine.Limits{MaxQueued: 100 << 10}},
		"marks within the smaller queue stay": {
			engine.Limits{HighWater: 1000, LowWater: 900},
			engine.Limits{MaxQueued: 100 << 10},
			engine.Limits{MaxQueued: 100 << 10, HighWater: 1000, LowWater: 900}},
		"LowWater follows a smaller HighWater": {
			engine.Limits{LowWater: 200 << 10},
			engine.Limits{HighWater: 100 << 10},
			engine.Limits{HighWater: 100 << 10}},
		"HighWater follows a larger LowWater": {
			engine.Limits{HighWater: 1000},
			engine.Limits{LowWater: 2000},
			engine.Limits{LowWater: 2000}},
	} {
		t.Run(name, func(t *testing.T) {
			opened := make(chan *engine.WebSocket, 3)
			onUpgrade := func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }
			srv := choosing(func(req *engine.Request) { req.Limits = &k.own })
			srv.Limits, srv.OnUpgrade = k.server, onUpgrade
			srv.Handle("/endpoint", &engine.Endpoint{Limits: k.own, OnUpgrade: onUpgrade})
			srv.Handle("/later", &engine.Endpoint{OnUpgrade: onUpgrade})
			addr := listen(t, srv)
			for _, path := range []string{"/endpoint", "/later", "/request"} {
				c := dialRaw(t, addr)
				c.send(headFor(addr, path))
				c.wantUpgraded()
				ws := within(t, "OnUpgrade", opened)
				if path == "/later" {
					if err := setLimits(t, ws, k.own); err != nil {
						t.Errorf("SetLimits returned %v", err)
					}
				}
				if got := ws.Limits(); got != k.want.WithDefaults() {
					t.Errorf("%s: the limits are %+v, want %+v", path, got, k.want.WithDefaults())
				}
			}
		})
	}
}
