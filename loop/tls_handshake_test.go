package loop

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// captureHello returns the first flight of a client.
func captureHello(t *testing.T, client *tls.Config) []byte {
	t.Helper()
	a, b := net.Pipe()
	go func() { _ = tls.Client(a, client).Handshake(); _ = a.Close() }()
	var hello []byte
	var scanner helloScanner
	for buf := make([]byte, maxRecord); ; {
		n, err := b.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		hello = append(hello, buf[:n]...)
		whole, err := scanner.scan(hello)
		if err != nil {
			t.Fatal(err)
		}
		if whole {
			_ = b.Close()
			return hello
		}
	}
}

func TestTheHandshakeAgreesOnWhatTheConfigSays(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		var asked atomic.Value
		server.Certificates = nil
		server.GetCertificate = func(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
			asked.Store(info.ServerName + " " + info.Conn.RemoteAddr().Network())
			cert := authority().server
			return &cert, nil
		}
		server.NextProtos, client.NextProtos = []string{"http/1.1"}, []string{"h2", "http/1.1"}
		server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, authority().pool
		client.Certificates = []tls.Certificate{authority().client}
		client.ClientSessionCache = tls.NewLRUClientSessionCache(10)
		g := start(t, Config{})
		for number, resumed := range []bool{false, true} {
			s := newEcho()
			s.onClose = func(s *scripted, _ error) {
				if s.TLS() == nil {
					t.Error("TLS() is forgotten in OnClose")
				}
			}
			peer := serveTLS(t, g, nil, s, server, client)
			roundTrip(t, peer, "through")
			state := s.TLS()
			switch {
			case state == nil:
				t.Fatal("TLS() is nil after the handshake")
			case state.NegotiatedProtocol != "http/1.1":
				t.Errorf("ALPN agreed on %q", state.NegotiatedProtocol)
			case state.ServerName != "server.test" || asked.Load() != "server.test tcp":
				t.Errorf("SNI was %q, GetCertificate was asked for %q", state.ServerName, asked.Load())
			case len(state.PeerCertificates) == 0 || state.PeerCertificates[0].Subject.CommonName != "client.test":
				t.Errorf("the client is %v", state.PeerCertificates)
			case state.Version != server.MaxVersion:
				t.Errorf("version %x", state.Version)
			case state.DidResume != resumed || peer.ConnectionState().DidResume != resumed:
				t.Errorf("connection %d: resumed is %t, want %t", number, state.DidResume, resumed)
			}
			_ = peer.Close()
			receive(t, s.closed)
		}
	})
}

// Both sides on loops, for the client's tickets are read after the handshake.
func TestAClientOnALoopResumes(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		client.ClientSessionCache = tls.NewLRUClientSessionCache(10)
		ln := listen(t, g, nil, func(*Loop) Handler {
			s := newEcho()
			secure(s, asServer(server))
			return s
		})
		for _, resumed := range []bool{false, true} {
			c := newScripted()
			back := make(chan bool, 1)
			c.onData = func(c *scripted, _ []byte) { back <- c.TLS().DidResume; c.Close(CloseFlushed) }
			c.onOpen = func(c *scripted) { _ = c.Write(nil, []byte("x")) }
			secure(c, asClient(client))
			if err := g.Dial(ln.Addr(), c, DialConfig{}); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, back); got != resumed {
				t.Errorf("resumed is %t, want %t", got, resumed)
			}
			receive(t, c.closed)
		}
	})
}

func TestAFailedHandshakeIsToldInOnClose(t *testing.T) {
	_, client := tlsConfigs(tls.VersionTLS13)
	server, _ := tlsConfigs(tls.VersionTLS13)
	requiring := server.Clone()
	requiring.ClientAuth = tls.RequireAnyClientCert
	old, _ := tlsConfigs(tls.VersionTLS12)
	panicking := server.Clone()
	panicking.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("no certificate") }
	panicking.Certificates = nil
	talkative := client.Clone()
	talkative.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		long := authority().client
		long.Certificate = append(long.Certificate, make([]byte, 100<<10))
		return &long, nil
	}
	cases := []struct {
		name   string
		config *tls.Config
		peer   func(nc *net.TCPConn)
		want   func(error) bool
	}{
		{"not TLS", server, func(nc *net.TCPConn) { _, _ = io.WriteString(nc, "GET / HTTP/1.1\r\n\r\n") },
			func(err error) bool { var bad tls.RecordHeaderError; return errors.As(err, &bad) }},
		{"no common version", old, func(nc *net.TCPConn) { _ = tls.Client(nc, client).Handshake() },
			func(err error) bool { return strings.Contains(err.Error(), "unsupported versions") }},
		{"certificate not trusted", server, func(nc *net.TCPConn) { _ = tls.Client(nc, &tls.Config{ServerName: "server.test"}).Handshake() },
			func(err error) bool { return strings.Contains(err.Error(), "remote error: tls: bad certificate") }},
		{"no client certificate", requiring, func(nc *net.TCPConn) { _ = tls.Client(nc, client).Handshake() },
			func(err error) bool { return strings.Contains(err.Error(), "client didn't provide a certificate") }},
		{"end inside", server, func(nc *net.TCPConn) { _, _ = nc.Write(captureHello(t, client)[:50]); _ = nc.CloseWrite() },
			func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"reset inside", server, func(nc *net.TCPConn) { _ = nc.SetLinger(0); _ = nc.Close() },
			func(err error) bool { return err != nil }},
		{"panic", panicking, func(nc *net.TCPConn) { _ = tls.Client(nc, client).Handshake() },
			func(err error) bool { var p *PanicError; return errors.As(err, &p) && p.Value == "no certificate" }},
		{"too much", requiring, func(nc *net.TCPConn) { _ = tls.Client(nc, talkative).Handshake() },
			func(err error) bool { return errors.Is(err, errHandshakeTooLarge) }},
	}
	g := start(t, Config{Logger: slog.New(new(record))})
	for _, c := range cases {
		s := newScripted()
		s.onData = func(*scripted, []byte) { t.Errorf("%s: OnData came", c.name) }
		s.onEOF = func(*scripted) { t.Errorf("%s: OnEOF came", c.name) }
		secure(s, func(s *scripted, _ func()) {
			s.StartTLSServer(c.config, nil, func() { t.Errorf("%s: the handshake is done", c.name) })
		})
		nc := serveOne(t, g, nil, s)
		c.peer(nc)
		if err := receive(t, s.closed); err == nil || !c.want(err) || !strings.HasPrefix(err.Error(), "loop: TLS handshake: ") && c.name != "reset inside" {
			t.Errorf("%s: OnClose said %v", c.name, err)
		}
		_ = nc.Close()
		s.checkOrder(t)
	}
	eventually(t, "no place is taken", func() bool { return placesTaken(g) == 0 })
}

func TestAClientOnALoopRefusesAWrongServer(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	client.ServerName = "other.test"
	g := start(t, Config{})
	ln := listen(t, g, nil, func(*Loop) Handler {
		s := newEcho()
		secure(s, asServer(server))
		return s
	})
	c := newScripted()
	secure(c, asClient(client))
	if err := g.Dial(ln.Addr(), c, DialConfig{}); err != nil {
		t.Fatal(err)
	}
	var wrong *tls.CertificateVerificationError
	var name x509.HostnameError
	if err := receive(t, c.closed); !errors.As(err, &wrong) || !errors.As(err, &name) {
		t.Errorf("OnClose said %v", err)
	}
}

// A handler may have read the beginning, as of a PROXY header, and may close
// before the handshake is over.
func TestTLSBeginsInsideOnDataWithBytesThatWereRead(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newEcho()
		echo := s.onData
		s.onData = func(s *scripted, b []byte) {
			head, rest, _ := bytes.Cut(b, []byte("\n"))
			if string(head) != "PREFACE" {
				t.Errorf("the preface is %q", head)
			}
			s.onData = echo
			s.StartTLSServer(server, rest, func() { _ = s.Write(nil, []byte("welcome")) })
			_ = s.Write(nil, []byte("early "))
		}
		pieces := &inPieces{Conn: serveOne(t, g, nil, s), cut: func(n int) int { return n }}
		pieces.buf = []byte("PREFACE\n")
		peer := tls.Client(pieces, client)
		got := make([]byte, len("early welcome"))
		if _, err := io.ReadFull(peer, got); err != nil || !strings.Contains(string(got), "early ") {
			t.Errorf("got %q, %v", got, err)
		}
		roundTrip(t, peer, "and echo")
		s.Close(CloseFlushed)
		receive(t, s.closed)
		s.checkOrder(t)
	})
}

func TestCloseDuringTheHandshake(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	for _, mode := range []CloseMode{CloseNow, CloseReset, CloseFlushed, CloseLinger} {
		g := start(t, Config{})
		s := newScripted()
		secure(s, asServer(server))
		nc := serveOne(t, g, nil, s)
		if _, err := nc.Write(captureHello(t, client)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the server's flight", func() bool { return s.loop.Counters().BytesOut > 0 })
		s.Close(mode)
		if err := receive(t, s.closed); err != nil {
			t.Errorf("mode %d: %v", mode, err)
		}
		s.checkOrder(t)
		eventually(t, "the place is free", func() bool { return placesTaken(g) == 0 })
	}
}

// What was written before Close still leaves, encrypted, when the handshake is
// over; done does not come.
func TestWhatWasWrittenBeforeTheHandshakeIsFlushedByClose(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		for _, mode := range []CloseMode{CloseFlushed, CloseLinger} {
			g := start(t, Config{})
			s := newScripted()
			s.onOpen = func(s *scripted) {
				s.StartTLSServer(server, nil, func() { t.Error("done came after Close") })
				_ = s.Write(nil, []byte("last words"))
				s.Close(mode)
			}
			peer := tls.Client(serveOne(t, g, nil, s), client)
			if got := readAll(t, peer); string(got) != "last words" {
				t.Errorf("got %q", got)
			}
			_ = peer.Close()
			if err := receive(t, s.closed); err != nil {
				t.Error(err)
			}
			s.checkOrder(t)
		}
	})
}

// Bytes that wait for the handshake do not wait for the socket.
func TestBytesHeldForTheHandshakeDoNotSpinTheLoop(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		server, client := tlsConfigs(tls.VersionTLS13)
		g := startObserved(t, b)
		witness := connectTo(t, listenEcho(t, g.Group))
		s := newScripted()
		s.onOpen = func(s *scripted) {
			s.StartTLSServer(server, nil, func() {})
			_ = s.Write(nil, []byte("held"))
		}
		nc := serveOne(t, g.Group, nil, s)
		_ = s.Write(nil, []byte(" back"))
		for range 50 {
			roundTrip(t, witness, "ping")
		}
		if n := g.poller.readyCount(s.descriptor()); n > 0 {
			t.Errorf("the descriptor was reported %d times while nothing happened", n)
		}
		got := make([]byte, len("held back"))
		if _, err := io.ReadFull(tls.Client(nc, client), got); err != nil || string(got) != "held back" {
			t.Errorf("got %q, %v", got, err)
		}
		s.Close(CloseNow)
		receive(t, s.closed)
	})
}
