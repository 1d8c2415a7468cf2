package engine_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// askedServer has a ShouldUpgrade that waits for the end of its context.
func askedServer(limits engine.Limits) (srv *engine.Server, asked chan struct{}, causes chan error) {
	asked, causes = make(chan struct{}, 8), make(chan error, 8)
	return &engine.Server{
		BlockingUpgrade: true,
		Limits:          limits,
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			ctx := req.Context()
			asked <- struct{}{}
			select {
			case <-ctx.Done():
			case <-time.After(patience):
			}
			causes <- context.Cause(ctx)
			return nil, ctx.Err()
		},
		OnUpgrade: func(*engine.WebSocket, *engine.Request) { panic("upgraded") },
	}, asked, causes
}

func TestRequestContextEndsWhenTheClientGoes(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		for name, leave := range map[string]func(c *rawClient){
			"closes": func(c *rawClient) { _ = c.Close() },
			"resets": func(c *rawClient) { _ = c.Conn.(interface{ SetLinger(int) error }).SetLinger(0); _ = c.Close() },
		} {
			t.Run(name, func(t *testing.T) {
				srv, asked, causes := askedServer(engine.Limits{})
				addr := serve(t, srv)
				c := dialRaw(t, addr)
				c.send(testkit.UpgradeHead(addr))
				within(t, "ShouldUpgrade", asked)
				leave(c)
				if cause := within(t, "the end of the context", causes); cause == nil {
					t.Error("the context goes on")
				}
				eventually(t, "nobody is left", func() bool { return srv.Conns() == 0 })
			})
		}
	})
}

// Reading goes on behind the request.
func TestRequestContextEndsWhenTheClientGoesAfterAMessage(t *testing.T) {
	srv, asked, causes := askedServer(engine.Limits{})
	addr := listen(t, srv)
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr))
	within(t, "ShouldUpgrade", asked)
	c.send(testkit.Masked(engine.Text, "early"))
	_ = c.Close()
	if cause := within(t, "the end of the context", causes); cause == nil {
		t.Error("the context goes on")
	}
}

// Reading pauses when enough came behind the request; the peer is looked at meanwhile.
func TestRequestContextEndsWhenTheClientGoesAfterMuch(t *testing.T) {
	needs(t, endsBehindData)
	srv, asked, causes := askedServer(engine.Limits{HandshakeTimeout: time.Hour})
	addr := listen(t, srv)
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr) + testkit.Masked(engine.Binary, string(pattern(16<<10))))
	within(t, "ShouldUpgrade", asked)
	c.send(testkit.Masked(engine.Binary, string(pattern(16<<10))))
	_ = c.Close()
	if cause := within(t, "the end of the context", causes); cause != engine.ErrAbnormalClosure {
		t.Errorf("the cause is %v, want ErrAbnormalClosure", cause)
	}
	eventually(t, "nobody is left", func() bool { return srv.Conns() == 0 })
}

// Looking at a peer does not move the deadline of its handshake.
func TestPausedRequestEndsAtTheDeadline(t *testing.T) {
	srv, asked, causes := askedServer(engine.Limits{HandshakeTimeout: 10 * time.Second})
	clock := drive(t, srv)
	addr := listen(t, srv)
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr) + testkit.Masked(engine.Binary, string(pattern(16<<10))))
	within(t, "ShouldUpgrade", asked)
	for range 19 {
		clock.step(500 * time.Millisecond)
	}
	select {
	case cause := <-causes:
		t.Fatal("the context ended before the deadline:", cause)
	default:
	}
	clock.step(600 * time.Millisecond)
	if cause := within(t, "the end of the context", causes); !errors.Is(cause, engine.ErrHandshakeTimeout) {
		t.Errorf("the cause is %v, want ErrHandshakeTimeout", cause)
	}
}

func TestRequestContextEndsAtTheDeadline(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		srv, _, causes := askedServer(engine.Limits{HandshakeTimeout: 20 * time.Millisecond})
		addr := serve(t, srv)
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr))
		if cause := within(t, "the end of the context", causes); !errors.Is(cause, engine.ErrHandshakeTimeout) {
			t.Errorf("the cause is %v, want ErrHandshakeTimeout", cause)
		}
		c.wantRefused(http.StatusRequestTimeout)
	})
}

func TestShutdownAnswersRequestsThatWait(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		srv, asked, causes := askedServer(engine.Limits{HandshakeTimeout: time.Hour})
		addr := serve(t, srv)
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr))
		within(t, "ShouldUpgrade", asked)
		ended := make(chan error, 1)
		go func() { ended <- shutdown(srv) }()
		c.wantRefused(http.StatusServiceUnavailable)
		if cause := within(t, "the end of the context", causes); !errors.Is(cause, engine.ErrServerClosed) {
			t.Errorf("the cause is %v, want ErrServerClosed", cause)
		}
		_ = c.Close()
		if err := within(t, "Shutdown", ended); err != nil {
			t.Error("Shutdown:", err)
		}
	})
}

func TestRequestContextEndsWithTheServer(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, blocking bool) {
		eachEntrance(t, func(t *testing.T, serve entranceFunc) {
			for how, end := range serverEnds {
				t.Run(how, func(t *testing.T) {
					srv, asked, causes := askedServer(engine.Limits{HandshakeTimeout: time.Hour})
					srv.BlockingUpgrade = blocking
					addr := serve(t, srv)
					c := dialRaw(t, addr)
					c.send(testkit.UpgradeHead(addr))
					within(t, "ShouldUpgrade", asked)
					ended := make(chan error, 1)
					go func() { ended <- end(srv) }()
					if cause := within(t, "the end of the context", causes); !errors.Is(cause, engine.ErrServerClosed) {
						t.Errorf("the cause is %v, want ErrServerClosed", cause)
					}
					_ = c.Close()
					if err := within(t, "the end", ended); err != nil {
						t.Error(err)
					}
				})
			}
		})
	})
}

func TestRequestContextEndsWithTheHandshake(t *testing.T) {
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		requests := make(chan *engine.Request, 1)
		addr := serve(t, &engine.Server{
			Callbacks: echo,
			ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
				return nil, req.Context().Err()
			},
			OnUpgrade: func(_ *engine.WebSocket, req *engine.Request) { requests <- req },
		})
		c := openRaw(t, addr)
		ctx := within(t, "OnUpgrade", requests).Context()
		within(t, "the end of the context", ctx.Done())
		c.exchange("the connection goes on")
	})
}

func TestRequestContextIsThatOfTheRouter(t *testing.T) {
	type key struct{}
	seen := make(chan any, 2)
	srv := &engine.Server{ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
		seen <- req.Context().Value(key{})
		seen <- req.HTTP().URL.Path + " " + req.PathValue("room")
		return nil, nil
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("/{room}", func(w http.ResponseWriter, r *http.Request) {
		srv.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "alice")))
	})
	openRaw(t, serveHandler(t, srv, mux))
	if user := within(t, "ShouldUpgrade", seen); user != "alice" {
		t.Errorf("the context has %v", user)
	}
	if path := within(t, "ShouldUpgrade", seen); path != "/chat chat" {
		t.Errorf("the request is that of %q", path)
	}
}

// What a client sends behind a request that waits is kept, and not without end.
func TestClientOfAWaitingRequestIsReadWithinBounds(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	srv := &engine.Server{
		BlockingUpgrade: true,
		Callbacks:       echo,
		ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			asked <- struct{}{}
			<-answer
			return nil, nil
		},
	}
	addr := listen(t, srv)
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr))
	within(t, "ShouldUpgrade", asked)
	const messages, size = 256, 64 << 10
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range messages {
			c.sendFrame(engine.Binary, true, pattern(size))
		}
	}()
	eventually(t, "some came", func() bool { return srv.Memory().Handshakes > 4<<10 })
	for range 50 {
		if held := srv.Memory().Handshakes; held > 256<<10 {
			t.Fatalf("%d bytes are held for a request that waits", held)
		}
		time.Sleep(time.Millisecond)
	}
	close(answer)
	c.wantUpgraded()
	for range messages {
		c.wantMessage(engine.Binary, string(pattern(size)))
	}
	within(t, "the last message", sent)
}
