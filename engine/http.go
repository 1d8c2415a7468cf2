package engine

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// webSide serves requests that ask for no WebSocket with a net/http server, which
// gets its connections from the loops and gives them back between requests.
type webSide struct {
	srv   *http.Server
	start sync.Once
	conns atomic.Int64 // that net/http or a handler has

	log     *slog.Logger
	trouble loop.Throttle // of the log, with moving connections

	mu       sync.Mutex
	arrived  *sync.Cond // waiting or closed has changed
	waiting  []net.Conn // for Accept
	closed   bool
	hijacked map[*webConn]struct{} // net/http does not close them
	dropping bool                  // what handlers have taken, and take
}

// A connection that waits for its next request stays with net/http for a moment,
// which spares busy ones the way back and forth. Then it waits on a loop, where
// that costs no goroutine.
const (
	webLingers   = time.Second
	webKeepAlive = 2 * time.Minute
)

func newWebSide(s *Server) (*webSide, error) {
	w := &webSide{log: s.settings.log, hijacked: make(map[*webConn]struct{})}
	w.arrived = sync.NewCond(&w.mu)
	w.srv = &http.Server{
		Handler:        s.HTTP,
		IdleTimeout:    webLingers,
		MaxHeaderBytes: s.settings.limits.MaxHead,
		ErrorLog:       log.New(&webLog{to: s.settings.log}, "", 0),
	}
	if s.ConfigureHTTP != nil {
		if err := s.configureHTTP(w.srv); err != nil {
			return nil, err
		}
	}
	w.srv.ConnState = followed(w.srv.ConnState)
	w.srv.Protocols = new(http.Protocols)
	w.srv.Protocols.SetHTTP1(true) // the only one that the loops can take back
	return w, nil
}

// configureHTTP calls ConfigureHTTP, on a goroutine of its own: it may not return, and
// others would wait for the start of the server for ever.
func (s *Server) configureHTTP(srv *http.Server) error {
	done := make(chan error, 1)
	go func() {
		s.configuring.Store(loop.GoroutineID())
		s.settings.guard(panicEndsServer, func() error {
			s.callConfigureHTTP(srv)
			return nil
		}, func(err error) {
			s.configuring.Store(0)
			done <- err
		})
	}()
	return <-done
}

// inConfigureHTTP reports whether the caller is in ConfigureHTTP.
func (s *Server) inConfigureHTTP() bool {
	id := s.configuring.Load()
	return id != 0 && id == loop.GoroutineID()
}

// followed is the ConnState of the net/http server: the program's, and ours before it.
func followed(next func(net.Conn, http.ConnState)) func(net.Conn, http.ConnState) {
	return func(nc net.Conn, state http.ConnState) {
		nc.(interface{ own() *webConn }).own().changed(state)
		if next != nil {
			next(nc, state)
		}
	}
}

// webLog takes what net/http has to say, panics of handlers among it.
type webLog struct {
	loop.Throttle
	to *slog.Logger
}

// Write implements io.Writer.
func (l *webLog) Write(line []byte) (int, error) {
	l.Log(l.to, slog.LevelWarn, "engine: net/http: "+strings.TrimSpace(string(line)))
	return len(line), nil
}

// logTrouble says that a connection could not be moved, if err is not nil.
func (w *webSide) logTrouble(what string, err error) {
	if err != nil {
		w.trouble.Log(w.log, slog.LevelError, "engine: cannot "+what, slog.Any("err", err))
	}
}

// serve gives c to the net/http server, or closes it if that has ended.
func (w *webSide) serve(c *webConn) {
	w.conns.Add(1)
	w.start.Do(func() { go func() { _ = w.srv.Serve(w) }() }) // ends with the listener
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		go func() { _ = c.Close() }() // with TLS it may wait
		return
	}
	w.waiting = append(w.waiting, c.asNetConn())
	w.arrived.Signal()
}

// hijack notes that a handler has c now, until c.Close.
func (w *webSide) hijack(c *webConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked[c] = struct{}{}; w.dropping {
		go func() { _ = c.Close() }() // the caller holds its lock
	}
}

// forget is the end of the use of c.
func (w *webSide) forget(c *webConn) {
	w.conns.Add(-1)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.hijacked, c)
}

// Accept implements net.Listener.
func (w *webSide) Accept() (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) == 0 {
		if w.closed {
			return nil, net.ErrClosed
		}
		w.arrived.Wait()
	}
	nc := w.waiting[0]
	w.waiting[0] = nil
	w.waiting = w.waiting[1:]
	return nc, nil
}

// Close implements net.Listener.
func (w *webSide) Close() error {
	w.mu.Lock()
	w.closed = true
	waiting := w.waiting
	w.waiting = nil
	w.arrived.Broadcast()
	w.mu.Unlock()
	for _, nc := range waiting {
		_ = nc.Close()
	}
	return nil
}

// Addr implements net.Listener.
func (w *webSide) Addr() net.Addr { return &net.TCPAddr{} }

func (w *webSide) shutdown(ctx context.Context) error {
	_ = w.Close()
	if err := w.srv.Shutdown(ctx); err != nil {
		return errors.Join(err, w.srv.Close())
	}
	return nil
}

// close ends everything at once.
func (w *webSide) close() error {
	_ = w.Close()
	err := w.srv.Close()
	w.dropHijacked()
	return err
}

// dropHijacked closes what handlers have taken.
func (w *webSide) dropHijacked() {
	w.mu.Lock()
	w.dropping = true
	var all []*webConn
	for c := range w.hijacked {
		all = append(all, c)
	}
	w.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}
