package engine_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// What the program sets counts, and connections still go back to their loops.
func TestHTTPServerCanBeConfigured(t *testing.T) {
	type key struct{}
	type change struct {
		conn  net.Conn
		state http.ConnState
	}
	changes := make(chan change, 64)
	srv := &engine.Server{
		Callbacks: echo,
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Context().Value(key{}).(string))
		}),
		ConfigureHTTP: func(srv *http.Server) {
			srv.BaseContext = func(net.Listener) context.Context { return context.WithValue(context.Background(), key{}, "base") }
			srv.ConnState = func(nc net.Conn, s http.ConnState) { changes <- change{nc, s} }
			srv.ReadTimeout = time.Minute
			srv.Protocols = new(http.Protocols) // which counts for nothing
		},
	}
	addr := listen(t, srv)
	c := dialRaw(t, addr)
	for range 2 {
		c.send("GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, body := c.readResponse(); resp.StatusCode != 200 || body != "base" {
			t.Fatalf("%d, %q", resp.StatusCode, body)
		}
		eventually(t, "it is on a loop", func() bool { return srv.Stats().HTTP == 0 && srv.Stats().Connections == 1 })
	}
	c.send(testkit.UpgradeHead(addr))
	c.wantUpgraded()
	c.exchange("as the third request")
	states := make(map[net.Conn][]http.ConnState) // a connection is lent to net/http anew for each request
	want := []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateClosed}
	for range 2 * len(want) {
		got := within(t, "ConnState", changes)
		states[got.conn] = append(states[got.conn], got.state)
	}
	for _, got := range states {
		if !slices.Equal(got, want) {
			t.Errorf("the states are %v, want %v", got, want)
		}
	}
}

// F-p, G02: nothing that starts or ends the server waits for ConfigureHTTP inside of it.
func TestMethodsInsideOfConfigureHTTP(t *testing.T) {
	for name, call := range map[string]func(*engine.Server) error{
		"Listen":   func(s *engine.Server) error { _, err := s.Listen("127.0.0.1:0"); return err },
		"Close":    func(s *engine.Server) error { return s.Close() },
		"Shutdown": func(s *engine.Server) error { return s.Shutdown(t.Context()) },
		"Run":      func(s *engine.Server) error { return s.Run(t.Context(), time.Second) },
		"Retain": func(s *engine.Server) error {
			_, err := s.Publish("t", engine.Message{Op: engine.Text, Data: []byte("x"), Retain: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			srv := &engine.Server{HTTP: http.NotFoundHandler(), Callbacks: echo}
			srv.ConfigureHTTP = func(*http.Server) { got <- call(srv) }
			addr := listen(t, srv)
			if err := within(t, "the method", got); !errors.Is(err, engine.ErrInCallback) {
				t.Errorf("%v, want ErrInCallback", err)
			}
			c := dialRaw(t, addr)
			c.send(testkit.UpgradeHead(addr))
			c.wantUpgraded()
			c.exchange("and the server works")
		})
	}
}

// F-f, G01: a ConfigureHTTP that does not return ends the server, and nothing waits or panics.
func TestConfigureHTTPThatDoesNotReturn(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("oops") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			srv := &engine.Server{HTTP: http.NotFoundHandler(), ConfigureHTTP: func(*http.Server) { end() }}
			for range 2 {
				_, err := srv.Listen("127.0.0.1:0")
				if e := new(engine.PanicError); !errors.As(err, &e) {
					t.Errorf("Listen: %v, want a *PanicError", err)
				}
			}
			srv.Stats()
			if _, err := srv.Publish("t", engine.Message{Op: engine.Text, Data: []byte("x"), Retain: true}); err == nil {
				t.Error("Publish returns no error")
			}
			if err := srv.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			within(t, "Done", srv.Done())
		})
	}
}
