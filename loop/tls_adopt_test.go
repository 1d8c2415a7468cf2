package loop

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// An encrypted connection goes from goroutines to a loop and back, while its
// peer sends without a break and sends more than either side asks for.
func TestNoEncryptedByteIsLostBetweenAdoptAndDetach(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		nl, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln := NewTLSListener(nl, server)
		defer ln.Close()
		want := make([]byte, 2<<20)
		_, _ = rand.Read(want)
		tcp, err := net.Dial("tcp", nl.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = tcp.SetDeadline(time.Now().Add(patience))
		peer := tls.Client(tcp, client)
		defer peer.Close()
		go func() {
			_, _ = peer.Write(want)
			_ = peer.CloseWrite()
			_ = tcp.SetDeadline(time.Now().Add(patience))
		}()
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for round, until := range []int{100 << 10, 300 << 10, 500 << 10} {
			part := make([]byte, 1001) // the rest of the record stays in the tls.Conn
			if _, err := io.ReadFull(nc, part); err != nil {
				t.Fatal(err)
			}
			got = append(got, part...)
			s := newScripted()
			back := make(chan net.Conn, 1)
			s.onOpen = func(s *scripted) {
				if s.TLS() == nil {
					t.Error("TLS() is nil in OnOpen")
				}
				if round == 1 {
					s.PauseRead()
					s.SetTimer(1)
				}
			}
			s.onTimer = func(s *scripted) { s.ResumeRead() }
			s.onData = func(s *scripted, b []byte) {
				if got = append(got, b...); len(got) < until {
					return
				}
				nc, err := s.Detach()
				if err != nil {
					t.Error(err)
				}
				wantErr(t, s.Write(nil, []byte("x")), ErrClosed)
				back <- nc
			}
			if err := g.Adopt(nc, s, nil); err != nil {
				t.Fatal(err)
			}
			nc = receive(t, back)
			if _, ok := nc.(*tls.Conn); !ok {
				t.Fatalf("Detach returned a %T", nc)
			}
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(patience))
		if got = append(got, readAll(t, nc)...); !bytes.Equal(got, want) {
			t.Errorf("got %d bytes of %d, or others", len(got), len(want))
		}
		if _, err := nc.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 6)
		if _, err := io.ReadFull(peer, answer); err != nil || string(answer) != "answer" {
			t.Errorf("the peer got %q, %v", answer, err)
		}
		settle(t, g.Loops()[0])
		if n := g.Loops()[0].Encrypted(); n != 0 || g.Conns() != 0 {
			t.Errorf("the group counts %d connections, %d encrypted", g.Conns(), n)
		}
	})
}

// A request over net/http's own TLS server becomes a connection of a loop.
func TestAHijackedTLSConnectionMovesToALoop(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		nl, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server = server.Clone()
		server.NextProtos = []string{"http/1.1"}
		s := newEcho()
		web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.TLS == nil || r.TLS.NegotiatedProtocol != "http/1.1" {
				t.Errorf("net/http sees %+v", r.TLS)
			}
			if r.URL.Path != "/move" {
				_, _ = io.WriteString(w, "stays")
				return
			}
			nc, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			buffered := make([]byte, rw.Reader.Buffered())
			_, _ = io.ReadFull(rw.Reader, buffered)
			s.onOpen = func(s *scripted) { _ = s.Write([]byte("moved "), buffered) }
			if err := g.Adopt(nc, s, nil); err != nil {
				t.Error(err)
			}
		})}
		done := make(chan struct{})
		go func() { defer close(done); _ = web.Serve(NewTLSListener(nl, server)) }()
		client.NextProtos = []string{"h2", "http/1.1"}
		tcp, err := net.Dial("tcp", nl.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		_ = tcp.SetDeadline(time.Now().Add(patience))
		pieces := &inPieces{Conn: tcp, cut: func(n int) int { return n }}
		peer := tls.Client(pieces, client)
		_, _ = io.WriteString(peer, "GET /stay HTTP/1.1\r\nHost: server.test\r\n\r\n")
		read := bufio.NewReader(peer)
		resp, err := http.ReadResponse(read, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != "stays" {
			t.Errorf("got %q", body)
		}
		pieces.cut = func(int) int { return 0 }
		_, _ = io.WriteString(peer, "GET /move HTTP/1.1\r\nHost: server.test\r\n\r\nfirst, ")
		_, _ = io.WriteString(peer, "second, ") // a record that net/http may have read
		_, _ = io.WriteString(peer, "third")
		if _, err := tcp.Write(pieces.buf); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("moved first, second, third"))
		if _, err := io.ReadFull(read, got); err != nil || string(got) != "moved first, second, third" {
			t.Errorf("got %q, %v", got, err)
		}
		s.Close(CloseFlushed)
		receive(t, s.closed)
		s.checkOrder(t)
		_ = web.Close()
		<-done
	})
}

func TestAdoptRefusesATLSConnItCannotMove(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	g := start(t, Config{})
	ours, theirs := tcpPair(t)
	s := newScripted()
	if err := g.Adopt(tls.Server(ours, server), s, nil); err == nil {
		t.Error("a tls.Conn of another listener was adopted")
	}
	unfinished := &tlsLayer{nc: ours}
	unfinished.conn = tls.Server(unfinished, server)
	if err := g.Adopt(unfinished.conn, s, nil); err == nil {
		t.Error("a tls.Conn was adopted before its handshake")
	}
	go func() { _ = tls.Client(theirs, client).Handshake() }()
	if err := unfinished.conn.Handshake(); err != nil {
		t.Error(err)
	}
	if err := g.Adopt(unfinished.conn, s, nil); err != nil {
		t.Error(err)
	}
	receive(t, s.open)
	if err := g.Adopt(unfinished.conn, newScripted(), nil); err == nil {
		t.Error("a tls.Conn was adopted twice")
	}
	s.Close(CloseNow)
	receive(t, s.closed)
}

func TestDetachWaitsForTheHandshake(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	g := start(t, Config{})
	s := newEcho()
	handshakeOver := secure(s, asServer(server))
	nc := serveOne(t, g, nil, s)
	onLoop(t, g.Loops()[0], func() {
		if _, err := s.Detach(); err == nil {
			t.Error("detached during the handshake")
		}
	})
	peer := tls.Client(nc, client)
	roundTrip(t, peer, "goes on")
	receive(t, handshakeOver)
	s.Close(CloseNow)
	receive(t, s.closed)
}

// done may give the connection away.
func TestDetachRightAfterTheHandshake(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newScripted()
		back := make(chan net.Conn, 1)
		s.onOpen = func(s *scripted) {
			s.StartTLSServer(server, nil, func() {
				nc, err := s.Detach()
				if err != nil {
					t.Error(err)
				}
				back <- nc
			})
		}
		peer := tls.Client(serveOne(t, g, nil, s), client)
		go func() { _, _ = peer.Write([]byte("first")) }()
		nc := receive(t, back)
		defer nc.Close()
		got := make([]byte, 5)
		if _, err := io.ReadFull(nc, got); err != nil || string(got) != "first" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}
