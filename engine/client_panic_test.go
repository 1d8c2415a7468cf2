package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// jar is a cookie jar of functions.
type jar struct{ get, set func() }

func (j jar) Cookies(*url.URL) []*http.Cookie     { j.get(); return nil }
func (j jar) SetCookies(*url.URL, []*http.Cookie) { j.set() }
func setCookie(*engine.Request) (http.Header, error) {
	return http.Header{"Set-Cookie": {"a=1"}}, nil
}

// endingOptions make a function of DialOptions call end.
var endingOptions = map[string]func(o *engine.DialOptions, end func()){
	"OnUpgrade":  func(o *engine.DialOptions, end func()) { o.OnUpgrade = func(*engine.WebSocket) { end() } },
	"OnResponse": func(o *engine.DialOptions, end func()) { o.OnResponse = func(*handshake.Response) { end() } },
	"NetDial": func(o *engine.DialOptions, end func()) {
		o.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			end()
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	},
	"NetDial's connection": func(o *engine.DialOptions, end func()) {
		o.Proxy = func(*url.URL) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "proxy.test"}, nil }
		o.NetDial = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() { _, _ = far.Read(make([]byte, 1)); _ = far.Close() }() // until it is closed
			return endingConn{near, end}, nil
		}
	},
	"Proxy": func(o *engine.DialOptions, end func()) {
		o.Proxy = func(*url.URL) (*url.URL, error) { end(); return nil, nil }
	},
	"Jar.Cookies":    func(o *engine.DialOptions, end func()) { o.Jar = jar{get: end, set: func() {}} },
	"Jar.SetCookies": func(o *engine.DialOptions, end func()) { o.Jar = jar{get: func() {}, set: end} },
}

// endingConn does not return from Write.
type endingConn struct {
	net.Conn
	end func()
}

func (c endingConn) Write([]byte) (int, error) { c.end(); return 0, net.ErrClosed }

// R17, G01: what Dial calls on the goroutine of its caller panics into an error of
// Dial; runtime.Goexit ends that goroutine, as it should. Nothing is left.
func TestDialWhoseOptionsDoNotReturn(t *testing.T) {
	for name, set := range endingOptions {
		t.Run(name, func(t *testing.T) {
			eachEnd(t, func(t *testing.T, end func()) {
				log, book := newLog()
				srv := &engine.Server{Loops: 1, ShouldUpgrade: setCookie}
				addr := listen(t, srv)
				cb, ended := record(engine.Callbacks{})
				opt := &engine.DialOptions{Callbacks: cb, Logger: log}
				set(opt, end)
				result := make(chan error, 1)
				gone := make(chan struct{})
				go func() {
					defer close(gone)
					_, err := engine.Dial(context.Background(), "ws://"+addr+"/", opt)
					result <- err
				}()
				within(t, "the end of Dial", gone)
				switch onLoop := name == "OnUpgrade" || name == "OnResponse"; {
				case name == "OnUpgrade":
					if err := <-result; err != nil {
						t.Error(err)
					}
					got := within(t, "OnClose", ended)
					if got.code != engine.StatusInternalError || book.count("engine: a callback") != 1 {
						t.Errorf("ended with %+v, logged %d times", got, book.count("engine: a callback"))
					}
					wantPanic(t, got.err)
				case !onLoop && isGoexit(t):
					if len(result) != 0 {
						t.Errorf("Dial returned %v", <-result)
					}
				default:
					wantPanic(t, <-result)
				}
				eventually(t, "the server has no connection", func() bool { return srv.Conns() == 0 })
				if len(ended) > 0 && name != "Jar.SetCookies" { // which comes when the connection is open
					t.Error("OnClose was called of a connection that never was")
				}
			})
		})
	}
}

// R17, G01: what DialReconnecting calls may fail each in its way: it goes on.
func TestReconnectingGoesOnWhenACallbackDoesNotReturn(t *testing.T) {
	type ending func(o *engine.DialOptions, p *engine.ReconnectPolicy, end func())
	all := map[string]ending{
		"OnConnect": func(_ *engine.DialOptions, p *engine.ReconnectPolicy, end func()) {
			p.OnConnect = func(*engine.WebSocket, int) { end() }
		},
		"ShouldRetry": func(_ *engine.DialOptions, p *engine.ReconnectPolicy, end func()) {
			p.ShouldRetry = func(_ error, retry bool) bool { end(); return retry }
		},
		"Prepare": func(_ *engine.DialOptions, p *engine.ReconnectPolicy, end func()) {
			p.Prepare = func(context.Context, *engine.Attempt) error { end(); return nil }
		},
		"OnRetry": nil, // set for all
	}
	for name, set := range endingOptions {
		all[name] = func(o *engine.DialOptions, _ *engine.ReconnectPolicy, end func()) { set(o, end) }
	}
	delete(all, "NetDial's connection") // never works
	for name, set := range all {
		t.Run(name, func(t *testing.T) {
			eachEnd(t, func(t *testing.T, end func()) {
				var calls, upgrades atomic.Int32
				once := func() {
					if calls.Add(1) == 1 {
						end()
					}
				}
				srv := &engine.Server{Loops: 1, Callbacks: echo, ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
					if upgrades.Add(1) == 1 && (name == "ShouldRetry" || name == "OnRetry") {
						return nil, engine.Reject(http.StatusServiceUnavailable, "")
					}
					return setCookie(req)
				}}
				addr := listen(t, srv)
				log, book := newLog()
				got, errs := make(chan string, 1), make(chan error, 10)
				opt := engine.DialOptions{Logger: log, Callbacks: engine.Callbacks{
					OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) },
				}}
				p := engine.ReconnectPolicy{OnRetry: func(err error, _ time.Duration) {
					errs <- err
					if name == "OnRetry" {
						once()
					}
				}}
				if set != nil {
					set(&opt, &p, once)
				}
				c, err := engine.DialReconnecting(context.Background(), "ws://"+addr+"/", &opt, newSlowestClock().of(p))
				if err != nil {
					t.Fatal(err)
				}
				switch err := within(t, "OnRetry", errs); name {
				case "ShouldRetry", "OnRetry":
					var refused *engine.StatusError
					if !errors.As(err, &refused) {
						t.Errorf("OnRetry was told %v", err)
					}
				default:
					wantPanic(t, err)
				}
				eventually(t, "the next connection works", func() bool { return c.SendText("hello") == nil })
				if text := within(t, "the echo", got); text != "hello" {
					t.Errorf("got %q", text)
				}
				if err := c.Close(engine.StatusNormalClosure, ""); err != nil {
					t.Fatal(err)
				}
				within(t, "the end", c.Done())
				if err := c.Err(); err != nil {
					t.Error(err)
				}
				if n := book.count("engine: a callback"); n != 1 {
					t.Errorf("logged %d times, want once", n)
				}
			})
		})
	}
}

// G01: neither does a Logger that fails, on a loop, on a worker, or off both.
func TestLoggerThatDoesNotReturnHurtsNobody(t *testing.T) {
	for where, dispatch := range map[string]*engine.Dispatch{"on the loop": nil, "dispatched": {Workers: 1}} {
		t.Run(where, func(t *testing.T) {
			eachEnd(t, func(t *testing.T, end func()) {
				lines := new(atomic.Int32)
				srv := &engine.Server{
					Loops:    1,
					Logger:   slog.New(endingLog{slog.DiscardHandler, func() { lines.Add(1); end() }}),
					Dispatch: dispatch,
					ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
						if req.Header("X-Bad") != "" {
							return http.Header{"Bad Name": {""}}, nil
						}
						return nil, nil
					},
					Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
						if string(text) == "end" {
							end()
						}
						_ = ws.Send(engine.Text, text)
					}},
				}
				addr := listen(t, srv)
				other := openRaw(t, addr)
				for range 2 {
					c := dialRaw(t, addr)
					c.send(testkit.UpgradeHead(addr, "X-Bad: 1"))
					c.wantRefused(http.StatusInternalServerError)
					victim := openRaw(t, addr)
					victim.send(testkit.Masked(engine.Text, "end"))
					victim.wantClose(engine.StatusInternalError)
					other.exchange("unmoved")
				}
				if lines.Load() == 0 {
					t.Error("nothing was logged")
				}
			})
		})
	}
}

// endingLog is a slog.Handler that does not return.
type endingLog struct {
	slog.Handler
	end func()
}

func (l endingLog) Enabled(context.Context, slog.Level) bool { return true }

func (l endingLog) Handle(context.Context, slog.Record) error {
	l.end()
	return nil
}
