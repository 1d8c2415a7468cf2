package engine_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// saying greets with a text and the path value id.
func saying(text string) *engine.Endpoint {
	return &engine.Endpoint{OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
		_ = ws.SendText(text + req.PathValue("id"))
	}}
}

// routed serves srv by itself, or as the only handler of a net/http server.
func routed(t *testing.T, test func(t *testing.T, serve entranceFunc)) {
	t.Run("listener", func(t *testing.T) { test(t, func(t *testing.T, srv *engine.Server) string { return listen(t, srv) }) })
	t.Run("net http", func(t *testing.T) {
		test(t, func(t *testing.T, srv *engine.Server) string { return serveHandler(t, srv, srv) })
	})
}

// headFor is the head of a request for a WebSocket at a path.
func headFor(addr, path string, lines ...string) string {
	return strings.Replace(testkit.UpgradeHead(addr, lines...), "/chat", path, 1)
}

func TestPatternsLeadToEndpoints(t *testing.T) {
	routed(t, func(t *testing.T, serve entranceFunc) {
		srv := new(engine.Server)
		srv.Handle("/chat", saying("chat"))
		srv.Handle("GET /room/{id}", saying("room "))
		srv.Handle("GET /room/lobby", saying("lobby"))
		srv.Handle("/feed/", saying("feed"))
		srv.Handle("feed.example/chat", saying("another host"))
		srv.Handle("POST /post", saying("post"))
		addr := serve(t, srv)
		for path, want := range map[string]string{
			"/chat": "chat", "/chat?a=b": "chat", "/room/7": "room 7", "/room/a%2Fb": "room a/b", "/room/lobby": "lobby",
			"/feed/a/b": "feed", "http://" + addr + "/room/9": "room 9",
		} {
			c := dialRaw(t, addr)
			c.send(headFor(addr, path))
			c.wantUpgraded()
			c.wantMessage(engine.Text, want)
		}
		c := dialRaw(t, addr)
		c.send(headFor("feed.example", "/chat"))
		c.wantUpgraded()
		c.wantMessage(engine.Text, "another host")

		for path, want := range map[string]int{"/": 404, "/room/": 404, "/nowhere": 404, "/post": 405, "/feed": 307} {
			c := dialRaw(t, addr)
			c.send(headFor(addr, path))
			resp, _ := c.wantRefused(want)
			if allow := resp.Header.Get("Allow"); want == 405 && allow != "POST" {
				t.Errorf("%s: Allow is %q", path, allow)
			}
			if to := resp.Header.Get("Location"); want == 307 && to != "/feed/" {
				t.Errorf("%s: Location is %q", path, to)
			}
		}
	})
}

// The fields of the server serve what no pattern matches, if one of them is set.
func TestServersFieldsAreTheDefaultEndpoint(t *testing.T) {
	routed(t, func(t *testing.T, serve entranceFunc) {
		srv := &engine.Server{Callbacks: echo}
		srv.Handle("/room/{id}", saying("room "))
		addr := serve(t, srv)
		openRaw(t, addr).exchange("of the server")
		c := dialRaw(t, addr)
		c.send(headFor(addr, "/room/7"))
		c.wantUpgraded()
		c.wantMessage(engine.Text, "room 7")
	})
}

// What one endpoint is set to does not reach the others. Limits count for what comes in
// the packet of the request.
func TestEndpointsAreSetOneByOne(t *testing.T) {
	routed(t, func(t *testing.T, serve entranceFunc) {
		srv := &engine.Server{Limits: engine.Limits{MaxMessage: 20}, Subprotocols: []string{"own"}, Compression: new(engine.Compression)}
		srv.Handle("/plain", &engine.Endpoint{Callbacks: echo})
		srv.Handle("/all", &engine.Endpoint{
			Callbacks:     engine.Callbacks{OnText: func(ws *engine.WebSocket, p []byte) { _ = ws.SendText(strings.ToUpper(string(p))) }},
			Limits:        engine.Limits{MaxMessage: 10},
			Subprotocols:  []string{"all"},
			Compression:   new(engine.Compression),
			Origin:        handshake.AllowAnyOrigin,
			ShouldUpgrade: func(*engine.Request) (http.Header, error) { return http.Header{"X-All": {"1"}}, nil },
		})
		addr := serve(t, srv)
		offers := []string{"Sec-WebSocket-Protocol: own, all", "Sec-WebSocket-Extensions: permessage-deflate", "Origin: http://elsewhere.example"}

		c := dialRaw(t, addr)
		c.send(headFor(addr, "/plain", offers...))
		c.wantRefused(http.StatusForbidden)

		c = dialRaw(t, addr)
		c.send(headFor(addr, "/plain", offers[:2:2]...) + testkit.Masked(engine.Text, strings.Repeat("x", 20)) + testkit.Masked(engine.Text, strings.Repeat("x", 21)))
		h := c.wantUpgraded().Header
		if h.Get("Sec-WebSocket-Protocol") != "" || c.extensions != "" || h.Get("X-All") != "" {
			t.Errorf("/plain agreed on %v", h)
		}
		c.wantMessage(engine.Text, strings.Repeat("x", 20))
		c.wantClose(engine.StatusMessageTooBig)

		c = dialRaw(t, addr)
		c.send(headFor(addr, "/all", offers...) + testkit.Masked(engine.Text, "hello") + testkit.Masked(engine.Text, "0123456789a"))
		h = c.wantUpgraded().Header
		if h.Get("Sec-WebSocket-Protocol") != "all" || c.extensions == "" || h.Get("X-All") != "1" {
			t.Errorf("/all agreed on %v", h)
		}
		c.wantMessage(engine.Text, "HELLO")
		c.wantClose(engine.StatusMessageTooBig)
	})
}

// Each endpoint may ask on the pool, or on the loop.
func TestEndpointsAskOnThePoolOrOnTheLoop(t *testing.T) {
	pools := make(chan bool, 1)
	ask := func(*engine.Request) (http.Header, error) {
		pools <- strings.Contains(string(debug.Stack()), "upgradePool")
		return nil, nil
	}
	srv := new(engine.Server)
	srv.Handle("/pool", &engine.Endpoint{ShouldUpgrade: ask, BlockingUpgrade: true})
	srv.Handle("/loop", &engine.Endpoint{ShouldUpgrade: ask})
	addr := listen(t, srv)
	for path, want := range map[string]bool{"/pool": true, "/loop": false} {
		c := dialRaw(t, addr)
		c.send(headFor(addr, path))
		c.wantUpgraded()
		if got := within(t, "ShouldUpgrade", pools); got != want {
			t.Errorf("%s asked on the pool: %v", path, got)
		}
	}
}

// Topics belong to the server: a publish reaches subscribers of all endpoints, each in
// the way it agreed on.
func TestEndpointsShareTopics(t *testing.T) {
	joined := make(chan struct{}, 3)
	join := func(ws *engine.WebSocket, _ *engine.Request) {
		if err := ws.Subscribe("news"); err != nil {
			t.Error(err)
		}
		joined <- struct{}{}
	}
	srv := &engine.Server{Loops: 1}
	srv.Handle("/plain", &engine.Endpoint{OnUpgrade: join})
	srv.Handle("/small", &engine.Endpoint{OnUpgrade: join, Compression: &engine.Compression{Threshold: 1000, ServerMaxWindowBits: 9}})
	srv.Handle("/large", &engine.Endpoint{OnUpgrade: join, Compression: &engine.Compression{Threshold: 100}})
	addr := listen(t, srv)
	text := strings.Repeat("compress me ", 50)
	for _, path := range []string{"/plain", "/small", "/large"} {
		ws, got := dialEngineAt(t, addr, path, &engine.Compression{})
		within(t, "OnUpgrade", joined)
		if _, err := srv.Publish("news", engine.Message{Op: engine.Text, Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
		if msg := within(t, "the message at "+path, got); msg != text {
			t.Errorf("%s got %q", path, msg)
		}
		if compressed := ws.Extensions() != ""; compressed != (path != "/plain") {
			t.Errorf("%s agreed on %q", path, ws.Extensions())
		}
	}
	if n := srv.Stats().Compressed; n != 2 {
		t.Errorf("%d connections are counted as compressed, want 2", n)
	}
}

func dialEngineAt(t *testing.T, addr, path string, c *engine.Compression) (*engine.WebSocket, chan string) {
	t.Helper()
	got := make(chan string, 8)
	ws, err := engine.Dial(t.Context(), "ws://"+addr+path, &engine.DialOptions{
		Compression: c,
		Callbacks:   engine.Callbacks{OnText: func(_ *engine.WebSocket, p []byte) { got <- string(p) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ws.CloseNow)
	return ws, got
}

func TestHandlePanics(t *testing.T) {
	for name, handle := range map[string]func(srv *engine.Server){
		"conflict": func(srv *engine.Server) {
			srv.Handle("/a/{x}", new(engine.Endpoint))
			srv.Handle("/a/{y}", new(engine.Endpoint))
		},
		"malformed":    func(srv *engine.Server) { srv.Handle("/a/{", new(engine.Endpoint)) },
		"nil":          func(srv *engine.Server) { srv.Handle("/a", nil) },
		"after Listen": func(srv *engine.Server) { listen(t, srv); srv.Handle("/a", new(engine.Endpoint)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it did not panic")
				}
			}()
			handle(new(engine.Server))
		})
	}
}

// What Handle panics with names lines of the program, not of the library.
func TestHandleNamesTheLinesOfItsCallers(t *testing.T) {
	srv := new(engine.Server)
	_, _, line, _ := runtime.Caller(0)
	srv.Handle("/a/{x}", new(engine.Endpoint))
	srv.Handle("/b", new(engine.Endpoint))
	defer func() {
		said := fmt.Sprint(recover())
		for _, part := range []string{`"/a/{x}"`, `"/a/{y}"`, fmt.Sprintf("endpoint_test.go:%d", line+1), fmt.Sprintf("endpoint_test.go:%d", line+14)} {
			if !strings.Contains(said, part) {
				t.Errorf("it says %q, without %s", said, part)
			}
		}
		if strings.Contains(said, "endpoint_routes.go") {
			t.Errorf("it says %q", said)
		}
	}()
	srv.Handle("/a/{y}", new(engine.Endpoint))
}

func TestListenRefusesEndpointsThatCannotBeMeant(t *testing.T) {
	for name, e := range map[string]*engine.Endpoint{
		"a limit of the server":           {Limits: engine.Limits{MaxConnections: 7}},
		"a negative limit":                {Limits: engine.Limits{MaxMessage: -7}},
		"limits with those of the server": {Limits: engine.Limits{HighWater: 2000}},
		"Slow":                            {Slow: engine.Slow{Policy: 99}},
		"Compression":                     {Compression: &engine.Compression{ServerMaxWindowBits: 3}},
		"a negative count":                {MaxConnections: -7},
		"no token":                        {Subprotocols: []string{"a b"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &engine.Server{Limits: engine.Limits{MaxQueued: 1000}}
			srv.Handle("/chat", e)
			_, err := srv.Listen("127.0.0.1:0")
			var mistake *engine.OptionError
			if !errors.As(err, &mistake) || !strings.Contains(err.Error(), `"/chat"`) {
				t.Errorf("Listen returned %v, want an OptionError that names /chat", err)
			}
		})
	}
	_, err := (&engine.Server{Subprotocols: []string{"chat", "chat, v2"}}).Listen("127.0.0.1:0")
	var mistake *engine.OptionError
	if !errors.As(err, &mistake) || mistake.Field != "Server.Subprotocols" {
		t.Errorf("Listen returned %v, want an OptionError for Server.Subprotocols", err)
	}
}

func TestUpgradeInsideAHandler(t *testing.T) {
	log, book := newLog()
	srv, results := &engine.Server{Callbacks: echo, Logger: log}, make(chan error, 1)
	e := saying("room ")
	e.ShouldUpgrade = func(req *engine.Request) (http.Header, error) {
		if req.Header("X-Deny") != "" {
			return nil, engine.Reject(http.StatusForbidden, "not here")
		}
		return nil, nil
	}
	bad := &engine.Endpoint{Limits: engine.Limits{MaxMessage: -7}}
	mux := http.NewServeMux()
	for pattern, e := range map[string]*engine.Endpoint{"/room/{id}": e, "/chat": nil, "/bad": bad} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { results <- srv.Upgrade(w, r, e) })
	}
	addr := serveHandler(t, srv, mux)
	for range 2 {
		c := dialRaw(t, addr)
		c.send(headFor(addr, "/room/7"))
		c.wantUpgraded()
		c.wantMessage(engine.Text, "room 7")
		if err := within(t, "Upgrade", results); err != nil {
			t.Error(err)
		}
	}
	openRaw(t, addr).exchange("of the server")
	if err := within(t, "Upgrade", results); err != nil {
		t.Error(err)
	}
	var rejection *engine.Rejection
	c := dialRaw(t, addr)
	c.send(headFor(addr, "/room/7", "X-Deny: 1"))
	c.wantRefused(http.StatusForbidden)
	if err := within(t, "Upgrade", results); !errors.As(err, &rejection) || rejection.Status != 403 {
		t.Errorf("Upgrade returned %v", err)
	}
	var mistake *engine.OptionError
	c = dialRaw(t, addr)
	c.send(headFor(addr, "/bad"))
	c.wantRefused(http.StatusInternalServerError)
	if err := within(t, "Upgrade", results); !errors.As(err, &mistake) {
		t.Errorf("Upgrade returned %v, want an OptionError", err)
	}
	if book.count("the Endpoint given to Upgrade cannot be used") != 1 || book.count("ShouldUpgrade") != 0 {
		t.Error("the log does not say what is wrong")
	}
}

// Two servers may have the same endpoint, and requests of both may come at once.
func TestEndpointOfTwoServers(t *testing.T) {
	e := saying("room ")
	addrs := make([]string, 2)
	for i := range addrs {
		srv := new(engine.Server)
		mux := http.NewServeMux()
		mux.HandleFunc("/room/{id}", func(w http.ResponseWriter, r *http.Request) { _ = srv.Upgrade(w, r, e) })
		addrs[i] = serveHandler(t, srv, mux)
	}
	done := make(chan struct{})
	for i := range 16 {
		go func() {
			defer func() { done <- struct{}{} }()
			addr, path := addrs[i%2], fmt.Sprint("/room/", i)
			ws, got := dialEngineAt(t, addr, path, nil)
			if msg := within(t, "the greeting", got); msg != fmt.Sprint("room ", i) {
				t.Errorf("%s got %q", path, msg)
			}
			ws.CloseNow()
		}()
	}
	for range 16 {
		within(t, "a client", done)
	}
}
