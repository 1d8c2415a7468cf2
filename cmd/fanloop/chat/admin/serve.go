package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server serves a Handler on an address.
type Server struct {
	http    http.Server
	addr    net.Addr
	done    chan struct{}
	handler *Handler
}

// What a client may take for the head of a request, and then for the body. An answer may take
// as long as it does.
const (
	headWithin = 10 * time.Second
	bodyWithin = 30 * time.Second
)

// Listen begins to serve h on an address. Shutdown ends it.
func Listen(address string, h *Handler) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return serve(l, h), nil
}

func serve(l net.Listener, h *Handler) *Server {
	s := &Server{addr: l.Addr(), done: make(chan struct{}), handler: h}
	s.http = http.Server{
		Handler: h, ReadHeaderTimeout: headWithin, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(h.config.Log.Handler(), slog.LevelDebug), TLSConfig: h.config.TLS,
	}
	go func() {
		defer close(s.done)
		serve := s.http.Serve
		if h.config.TLS != nil {
			serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") } // of TLSConfig
		}
		if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.config.Log.Error("the admin address is not served any more", "err", err)
		}
	}()
	return s
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.addr.String() }

// URL is its address with the scheme.
func (s *Server) URL() string {
	if s.http.TLSConfig != nil {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// Shutdown ends it. Requests that are under way when ctx is done are dropped.
func (s *Server) Shutdown(ctx context.Context) {
	s.handler.End()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // the listener is closed already
	}
	<-s.done
	s.handler.Wait()
}
