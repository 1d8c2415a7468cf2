package loop

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// endings are how a callback may end that does not return.
var endings = map[string]func(){
	"panic":  func() { panic("a secret") },
	"Goexit": func() { runtime.Goexit() },
}

// eachEnding runs a test over every ending and backend.
func eachEnding(t *testing.T, test func(t *testing.T, b Backend, end func())) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, b Backend) { test(t, b, end) })
		})
	}
}

// wantPanic asserts that err is how the callback ended that is in this file.
func wantPanic(t *testing.T, err error) {
	t.Helper()
	var p *PanicError
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a *PanicError", err)
	}
	goexit := strings.HasSuffix(t.Name(), "Goexit") || strings.Contains(t.Name(), "/Goexit/")
	if goexit != (p.Value == nil) || goexit != strings.Contains(p.Error(), "Goexit") {
		t.Errorf("%q with %v", p, p.Value)
	}
	if !strings.Contains(string(p.Stack), "panic_test.go") {
		t.Errorf("the stack is not that of the callback:\n%s", p.Stack)
	}
}

// G01: a callback that does not return ends its connection, and nothing else.
func TestACallbackThatDoesNotReturnEndsItsConnection(t *testing.T) {
	for name, set := range map[string]func(s *scripted, end func(*scripted)){
		"OnOpen": func(s *scripted, end func(*scripted)) { s.onOpen = end },
		"OnData": func(s *scripted, end func(*scripted)) {
			s.onData = func(s *scripted, _ []byte) { end(s) }
		},
		"OnEOF": func(s *scripted, end func(*scripted)) { s.onEOF = end },
		"OnNotify": func(s *scripted, end func(*scripted)) {
			s.onOpen = func(s *scripted) { s.Notify() }
			s.onNotify = end
		},
		"OnTimer": func(s *scripted, end func(*scripted)) {
			s.onOpen = func(s *scripted) { s.SetTimer(time.Millisecond) }
			s.onTimer = end
		},
		"OnDrain": func(s *scripted, end func(*scripted)) {
			s.onOpen = func(s *scripted) { _ = s.Write(nil, make([]byte, 16<<20)) }
			s.onDrain = end
		},
		"Do": func(s *scripted, end func(*scripted)) {
			s.onOpen = func(s *scripted) { _ = s.Do(func() { end(s) }) }
		},
		"Do, closing": func(s *scripted, end func(*scripted)) {
			s.onOpen = func(s *scripted) {
				_ = s.Do(func() {
					s.Close(CloseLinger)
					end(s)
				})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachEnding(t, func(t *testing.T, b Backend, end func()) {
				book := new(record)
				g := start(t, Config{Backend: b, Logger: slog.New(book), BlockedAfter: -1})
				witness := connectTo(t, listenEcho(t, g))
				s := newScripted()
				set(s, func(*scripted) { end() })
				peer := connectTo(t, listen(t, g, &WritePolicy{High: 1}, func(*Loop) Handler { return s }))
				_, _ = peer.Write([]byte("x"))
				_ = peer.CloseWrite()
				_, _ = io.Copy(io.Discard, peer) // it may be reset
				wantPanic(t, receive(t, s.closed))
				roundTrip(t, witness, "served")
				settle(t, g.Loops()[0])
				if g.Conns() != 1 || book.count() != 1 {
					t.Errorf("%d connections and %q, want the witness and one line", g.Conns(), book.lines)
				}
			})
		})
	}
}

// What was due in the same iteration is done all the same: events, mail, timers
// and ends.
func TestTheRestOfAnIterationSurvivesItsCallbacks(t *testing.T) {
	const n = 60
	eachEnding(t, func(t *testing.T, b Backend, end func()) {
		g := start(t, Config{Backend: b})
		l := g.Loops()[0]
		// Every third does not return.
		var conns []*scripted
		var peers []*net.TCPConn
		for i := range n {
			s := newEcho()
			s.onTimer = func(s *scripted) { _ = s.Write(nil, []byte("t")) }
			if i%3 == 0 {
				s.onData = func(*scripted, []byte) { end() }
			}
			if i%3 == 1 {
				s.onTimer = func(*scripted) { end() }
			}
			conns = append(conns, s)
			peers = append(peers, serveOne(t, g, nil, s))
		}
		free := hold(t, l)
		var mail []int // owned by the loop
		for i := range n {
			if err := l.Do(func() {
				mail = append(mail, i)
				conns[i].SetTimer(time.Millisecond)
				if i%3 == 2 {
					end()
				}
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := peers[i].Write([]byte("d")); err != nil {
				t.Fatal(err)
			}
		}
		free()
		for i, s := range conns {
			if i%3 < 2 {
				wantPanic(t, receive(t, s.closed))
				continue
			}
			got := make([]byte, 2)
			if _, err := io.ReadFull(peers[i], got); err != nil || string(got) != "dt" && string(got) != "td" {
				t.Errorf("connection %d got %q, %v", i, got, err)
			}
		}
		onLoop(t, l, func() {
			if len(mail) != n {
				t.Errorf("%d of %d mails were read", len(mail), n)
			}
			for i, number := range mail {
				if i != number {
					t.Fatalf("mail %d was read as number %d", number, i)
				}
			}
		})
		for _, s := range conns {
			s.onClose = func(*scripted, error) { end() }
		}
		free = hold(t, l)
		for i, s := range conns {
			if i%3 == 2 {
				s.Close(CloseNow)
			}
		}
		free()
		eventually(t, "all have ended", func() bool { return g.Conns() == 0 })
	})
}

// An OnClose that does not return is the last event all the same, also that of a
// group that stops.
func TestOnCloseThatDoesNotReturn(t *testing.T) {
	eachEnding(t, func(t *testing.T, b Backend, end func()) {
		book := new(record)
		g := start(t, Config{Backend: b, Logger: slog.New(book)})
		ended := make(chan error, 10)
		var peers []net.Conn
		for range cap(ended) {
			s := newScripted()
			s.onClose = func(_ *scripted, err error) {
				ended <- err
				end()
			}
			peers = append(peers, serveOne(t, g, nil, s))
		}
		stop(t, g)
		for _, peer := range peers { // no descriptor is left
			if _, err := io.Copy(io.Discard, peer); err != nil {
				t.Error(err)
			}
		}
		for range cap(ended) {
			wantErr(t, receive(t, ended), ErrStopped)
		}
		if g.Conns() != 0 || len(ended) != 0 || book.count() != 1 {
			t.Errorf("%d connections are left, OnClose came %d times too often, %d lines", g.Conns(), len(ended), book.count())
		}
	})
}

// panicky is a handler with OnPanic.
type panicky struct {
	*scripted
	onPanic func(*PanicError)
}

func (p *panicky) OnPanic(err *PanicError) { p.onPanic(err) }

// OnPanic runs inside the event, so what it writes leaves before the connection is
// closed.
func TestOnPanicTakesThePlaceOfTheRestOfTheEvent(t *testing.T) {
	eachEnding(t, func(t *testing.T, b Backend, end func()) {
		book := new(record)
		g := start(t, Config{Backend: b, Logger: slog.New(book)})
		s := newScripted()
		s.onData = func(s *scripted, _ []byte) {
			_ = s.Write(nil, []byte("written before, "))
			end()
		}
		told := make(chan error, 1)
		h := &panicky{s, func(err *PanicError) {
			told <- err
			_ = s.Write(nil, []byte("written by OnPanic"))
			s.Close(CloseLinger)
		}}
		peer := connectTo(t, listen(t, g, nil, func(*Loop) Handler { return h }))
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if got := string(readAll(t, peer)); got != "written before, written by OnPanic" {
			t.Errorf("the peer got %q", got)
		}
		_ = peer.Close()
		wantPanic(t, receive(t, told))
		if err := receive(t, s.closed); err != nil {
			t.Error(err)
		}
		if book.count() != 0 {
			t.Errorf("%d lines were logged, which is up to the handler", book.count())
		}
	})
}

func TestOnPanicThatDoesNotReturnIsCalledTwice(t *testing.T) {
	eachEnding(t, func(t *testing.T, b Backend, end func()) {
		g := start(t, Config{Backend: b})
		witness := connectTo(t, listenEcho(t, g))
		s := newScripted()
		s.onData = func(*scripted, []byte) { end() }
		told := make(chan error, 10)
		h := &panicky{s, func(err *PanicError) {
			told <- err
			end()
		}}
		peer := connectTo(t, listen(t, g, nil, func(*Loop) Handler { return h }))
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		wantPanic(t, receive(t, s.closed))
		if len(told) != 2 {
			t.Errorf("OnPanic was called %d times", len(told))
		}
		roundTrip(t, witness, "served")
	})
}

// Functions that belong to no connection end nothing; a connection that Accept was
// to take in is closed.
func TestFunctionsOfALoopThatDoNotReturn(t *testing.T) {
	eachEnding(t, func(t *testing.T, b Backend, end func()) {
		book := new(record)
		over := make(chan struct{}, 10)
		g := start(t, Config{Backend: b, Logger: slog.New(book), Budget: 1, OnOverBudget: func(*Loop) {
			over <- struct{}{}
			end()
		}})
		l := g.Loops()[0]
		witness := connectTo(t, listenEcho(t, g))
		if err := l.Do(end); err != nil {
			t.Fatal(err)
		}
		ln := listen(t, g, nil, func(*Loop) Handler {
			end()
			return nil
		})
		for range 3 {
			if _, err := connectTo(t, ln).Read(make([]byte, 1)); err == nil {
				t.Error("the connection lives")
			}
		}
		for range 2 {
			l.Hold(UseReceived, 1000)
			receive(t, over)
			l.Hold(UseReceived, -1000)
			settle(t, l)
		}
		roundTrip(t, witness, "served")
		if g.Conns() != 1 || book.count() != 1 {
			t.Errorf("%d connections, %d lines, want one of each", g.Conns(), book.count())
		}
	})
}

// What follows a TLS handshake may not return either.
func TestTLSDoneThatDoesNotReturn(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	eachEnding(t, func(t *testing.T, b Backend, end func()) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		s.onOpen = func(s *scripted) { s.StartTLSServer(server, nil, end) }
		peer := tls.Client(serveOne(t, g, nil, s), client)
		_ = peer.Handshake() // it may be over before the end
		wantPanic(t, receive(t, s.closed))
		settle(t, g.Loops()[0])
		if n := g.Loops()[0].Encrypted(); n != 0 {
			t.Errorf("%d encrypted connections are left", n)
		}
	})
}

// A Logger may fail in each way.
func TestLoggerThatDoesNotReturn(t *testing.T) {
	eachEnding(t, func(t *testing.T, b Backend, end func()) {
		g := start(t, Config{Backend: b, Logger: slog.New(failingLog{slog.DiscardHandler, end})})
		witness := connectTo(t, listenEcho(t, g))
		for range 3 {
			if err := g.Loops()[0].Do(end); err != nil {
				t.Fatal(err)
			}
		}
		roundTrip(t, witness, "served")
	})
}

// failingLog is a slog.Handler that does not return.
type failingLog struct {
	slog.Handler
	end func()
}

func (l failingLog) Enabled(context.Context, slog.Level) bool { return true }

func (l failingLog) Handle(context.Context, slog.Record) error {
	l.end()
	return nil
}
