package loop

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestCloseNotifyIsTheLastRecord(t *testing.T) {
	closes := map[string]func(s *scripted){
		"CloseFlushed":                  func(s *scripted) { s.Close(CloseFlushed) },
		"CloseLinger":                   func(s *scripted) { s.Close(CloseLinger) },
		"CloseNow":                      func(s *scripted) { s.Close(CloseNow) },
		"CloseFlushed then CloseLinger": func(s *scripted) { s.Close(CloseFlushed); s.Close(CloseLinger) },
		"in an event":                   func(s *scripted) { _ = s.Do(func() { s.Close(CloseFlushed) }) },
	}
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		for name, end := range closes {
			g := start(t, Config{})
			s := newScripted()
			handshakeOver := secure(s, asServer(server))
			wire := &tap{Conn: serveOne(t, g, nil, s)}
			peer := tls.Client(wire, client)
			if err := peer.Handshake(); err != nil {
				t.Fatal(err)
			}
			receive(t, handshakeOver)
			if err := s.Write(nil, []byte("last words")); err != nil {
				t.Fatal(err)
			}
			end(s)
			if got, err := readUntilEnd(peer); string(got) != "last words" || err != nil {
				t.Errorf("%s: got %q, %v", name, got, err)
			}
			_, _ = io.Copy(io.Discard, wire)
			kind, length := lastRecord(t, wire.seen)
			if server.MaxVersion == tls.VersionTLS12 && kind != 21 || server.MaxVersion == tls.VersionTLS13 && length != 2+1+16 {
				t.Errorf("%s: the last record has type %d and %d bytes", name, kind, length)
			}
			_ = peer.Close()
			if err := receive(t, s.closed); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			s.checkOrder(t)
		}
	})
}

// lastRecord returns the type of the last record of a stream, and its length. In
// TLS 1.3 the type is encrypted, but an alert has no other's length here.
func lastRecord(t *testing.T, stream []byte) (kind byte, length int) {
	t.Helper()
	for len(stream) > 0 {
		if len(stream) < recordHeader {
			t.Fatal("the stream ends inside a record")
		}
		kind, length = stream[0], int(stream[3])<<8+int(stream[4])
		stream = stream[min(len(stream), recordHeader+length):]
	}
	return kind, length
}

// The end waits for what is queued, close_notify included.
func TestCloseWaitsForCiphertext(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		for _, mode := range []CloseMode{CloseFlushed, CloseLinger} {
			g := start(t, Config{})
			s := newScripted()
			peer := serveTLS(t, g, nil, s, server, client)
			shrink(t, &s.Conn)
			want := fill(t, &s.Conn)
			s.Close(mode)
			got, err := readUntilEnd(peer)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d bytes of %d, %v", len(got), len(want), err)
			}
			_ = peer.Close()
			receive(t, s.closed)
			s.checkOrder(t)
		}
	})
}

func TestCloseNotifyOfThePeerIsOnEOF(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newScripted()
		var got []byte
		ended := make(chan string, 1)
		s.onData = func(_ *scripted, b []byte) { got = append(got, b...) }
		s.onEOF = func(s *scripted) {
			ended <- string(got)
			_ = s.Write(nil, []byte("and answer"))
			s.Close(CloseFlushed)
		}
		peer := serveTLS(t, g, nil, s, server, client)
		_, _ = peer.Write([]byte("ask "))
		_ = peer.CloseWrite() // TCP stays open
		if got := receive(t, ended); got != "ask " {
			t.Errorf("got %q before the end", got)
		}
		if answer := readAll(t, peer); string(answer) != "and answer" {
			t.Errorf("the peer got %q", answer)
		}
		if err := receive(t, s.closed); err != nil {
			t.Error(err)
		}
		s.checkOrder(t)
	})
}

func TestFINWithoutCloseNotifyIsOnEOF(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newEcho()
		peer := serveTLS(t, g, nil, s, server, client)
		_, _ = peer.Write([]byte("ask"))
		_ = peer.NetConn().(*net.TCPConn).CloseWrite()
		if answer := readAll(t, peer); string(answer) != "ask" {
			t.Errorf("the peer got %q", answer)
		}
		if err := receive(t, s.closed); err != nil {
			t.Error(err)
		}
		s.checkOrder(t)
	})
}

// What arrived before a bad record is delivered, the peer gets an alert, and
// nothing after it.
func TestABadRecordEndsTheConnectionWithAnAlert(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newScripted()
		got := make(chan string, 10)
		s.onData = func(s *scripted, b []byte) {
			got <- string(b)
			_ = s.Write(nil, []byte("seen"))
		}
		handshakeOver := secure(s, asServer(server))
		pieces := &inPieces{Conn: serveOne(t, g, nil, s), cut: func(n int) int { return n }}
		peer := tls.Client(pieces, client)
		if err := peer.Handshake(); err != nil {
			t.Fatal(err)
		}
		receive(t, handshakeOver)
		pieces.cut = func(int) int { return 0 }
		_, _ = peer.Write([]byte("good"))
		bad := len(pieces.buf)
		_, _ = peer.Write([]byte("bad"))
		pieces.buf[bad+10] ^= 1
		if _, err := pieces.Conn.Write(pieces.buf); err != nil {
			t.Fatal(err)
		}
		if text := receive(t, got); text != "good" {
			t.Errorf("got %q", text)
		}
		err := receive(t, s.closed)
		if err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("OnClose said %v", err)
		}
		_, err = readUntilEnd(peer)
		if err == nil || !strings.Contains(err.Error(), "remote error: tls: bad record MAC") {
			t.Errorf("the peer got no alert but %v", err)
		}
		if len(got) > 0 {
			t.Errorf("the bad record was delivered: %q", <-got)
		}
		s.checkOrder(t)
	})
}

// An end that is paused for comes when reading goes on, bytes first.
func TestAnEncryptedEndWaitsWhileReadingIsPaused(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newScripted()
		order := make(chan string, 10)
		s.onData = func(s *scripted, b []byte) { order <- string(b); s.PauseRead() }
		s.onEOF = func(s *scripted) { order <- "end"; s.Close(CloseNow) }
		handshakeOver := secure(s, asServer(server))
		pieces := &inPieces{Conn: serveOne(t, g, nil, s), cut: func(n int) int { return n }}
		peer := tls.Client(pieces, client)
		if err := peer.Handshake(); err != nil {
			t.Fatal(err)
		}
		receive(t, handshakeOver)
		pieces.cut = func(int) int { return 0 }
		_, _ = peer.Write([]byte("last"))
		_ = peer.CloseWrite() // sets a deadline
		_ = pieces.SetDeadline(time.Now().Add(patience))
		if _, err := pieces.Conn.Write(pieces.buf); err != nil { // in one read of the loop
			t.Fatal(err)
		}
		if got := receive(t, order); got != "last" {
			t.Errorf("got %q", got)
		}
		onLoop(t, g.Loops()[0], func() {})
		if len(order) > 0 {
			t.Errorf("%q came while reading was paused", <-order)
		}
		s.ResumeRead()
		if got := receive(t, order); got != "end" {
			t.Errorf("got %q", got)
		}
		receive(t, s.closed)
		s.checkOrder(t)
	})
}
