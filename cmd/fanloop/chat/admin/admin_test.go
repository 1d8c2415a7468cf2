package admin_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/admin"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/metrics"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))

// start runs a node that ends with the test. It bounds what hangs by the context.
func start(t *testing.T, change func(*config.Config)) (*service.Service, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c := config.Default()
	c.Listen, c.DataDir = "127.0.0.1:0", t.TempDir()
	if change != nil {
		change(&c)
	}
	s, err := service.Start(ctx, c, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, ctx
}

const operatorKey = "the-key-of-an-operator-0123456789"

func handlerOf(s *service.Service, key string) *admin.Handler {
	return admin.New(admin.Config{Node: s, Metrics: metrics.Registry(s), OperatorKey: key, Log: logger})
}

// ask sends a request that was changed to a handler.
func ask(h http.Handler, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8001"+path, nil)
	r.RemoteAddr = "127.0.0.1:40000"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}

// forOperators are the paths that show what a node does.
var forOperators = []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol"}

// X50: without a key, operators are those on this machine, unless they come by a
// proxy, by a page of another origin or by a name that leads here. With one, it is who
// shows it.
func TestWhoIsAnOperator(t *testing.T) {
	s, _ := start(t, nil)
	open, keyed := handlerOf(s, ""), handlerOf(s, operatorKey)
	key := with("Authorization", "Bearer "+operatorKey)
	cases := []struct {
		name   string
		change func(*http.Request)
		open   int
		keyed  int
	}{
		{"this machine", nil, 200, 401},
		{"this machine, IPv6", from("[::1]:40000"), 200, 401},
		{"by localhost", host("localhost:8001"), 200, 401},
		{"another machine", from("192.0.2.1:40000"), 401, 401},
		{"by a proxy here", with("X-Forwarded-For", "192.0.2.1"), 401, 401},
		{"by a proxy here that names no address", with("X-Forwarded-Proto", "https"), 401, 401},
		{"by a proxy here that names the URL", with("X-Original-URL", "/x"), 401, 401},
		{"by Cloudflare", with("CF-Connecting-IP", "192.0.2.1"), 401, 401},
		{"by another network", with("True-Client-IP", "192.0.2.1"), 401, 401},
		{"by a proxy here that speaks HTTP/1.0", func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0 }, 401, 401},
		{"by another name", host("evil.example:8001"), 401, 401},
		{"page of another origin", with("Origin", "https://evil.example"), 403, 403},
		{"page of no origin", with("Origin", "null"), 403, 403},
		{"page of another site", with("Sec-Fetch-Site", "cross-site"), 403, 403},
		{"own page", with("Origin", "http://127.0.0.1:8001"), 200, 401},
		{"the key", key, 200, 200},
		{"the key, from another machine", func(r *http.Request) { key(r); r.RemoteAddr = "192.0.2.1:40000" }, 401, 200},
		{"the key, of a page elsewhere", func(r *http.Request) { key(r); r.Header.Set("Origin", "https://evil.example") }, 403, 403},
		{"a wrong key", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+operatorKey+"0") }, 200, 401},
		{"no key", with("Authorization", "Bearer "), 200, 401},
		{"the key as another scheme", with("Authorization", "Basic "+operatorKey), 200, 401},
		{"the key in the URL", func(r *http.Request) { r.URL.RawQuery = "key=" + operatorKey }, 200, 401},
	}
	for _, c := range cases {
		for _, path := range forOperators {
			if got := ask(open, "GET", path, c.change).Code; got != c.open {
				t.Errorf("%s, %s without a key: %d, want %d", c.name, path, got, c.open)
			}
			if got := ask(keyed, "GET", path, c.change).Code; got != c.keyed {
				t.Errorf("%s, %s with a key: %d, want %d", c.name, path, got, c.keyed)
			}
		}
		for _, h := range []http.Handler{open, keyed} {
			if got := ask(h, "GET", "/healthz", c.change).Code; got != 200 && got != 403 {
				t.Errorf("%s: /healthz is %d", c.name, got)
			}
		}
	}
}

// A node is ready until it drains, and is alive all the time.
func TestReadyFailsFirstWhenDraining(t *testing.T) {
	s, ctx := start(t, nil)
	h := handlerOf(s, operatorKey)
	for ask(h, "GET", "/readyz", nil).Code != http.StatusOK { // revocations of other nodes are waited for
		if ctx.Err() != nil {
			t.Fatal(ctx.Err())
		}
		time.Sleep(time.Millisecond)
	}
	s.Drain()
	got := ask(h, "GET", "/readyz", nil)
	if got.Code != http.StatusServiceUnavailable || !strings.Contains(got.Body.String(), "draining") {
		t.Errorf("%d, %s", got.Code, got.Body)
	}
	if got := ask(h, "GET", "/healthz", nil); got.Code != http.StatusOK {
		t.Errorf("%d", got.Code)
	}
	if r, err := http.Get("http://" + s.Addr() + "/fanloop.js"); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("a node that drains does not serve: %v", err)
	} else {
		_ = r.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
}

// Metrics of the chat, the engine and the process are there.
func TestMetrics(t *testing.T) {
	s, _ := start(t, nil)
	text := ask(handlerOf(s, ""), "GET", "/metrics", nil).Body.String()
	for _, name := range []string{"fanloop_chat_sessions 0", "fanloop_chat_nats_connected 1", `fanloop_loop_connections{loop="0"} 0`, "go_goroutines ", `fanloop_chat_loop_lag_seconds{loop="0"} `} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("no %s in\n%s", name, text)
		}
	}
}

// The address is served until its end.
func TestListen(t *testing.T) {
	s, ctx := start(t, nil)
	server, err := admin.Listen("127.0.0.1:0", handlerOf(s, ""))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Get("http://" + server.Addr() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(r.Body); string(body) != "ok\n" {
		t.Errorf("%s", body)
	}
	_ = r.Body.Close()
	if _, err := admin.Listen(server.Addr(), handlerOf(s, "")); err == nil {
		t.Error("it listens twice")
	}
	http.DefaultClient.CloseIdleConnections()
	server.Shutdown(ctx)
}
