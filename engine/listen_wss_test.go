package engine_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// listenTLS serves srv over TLS as id.
func listenTLS(t testing.TB, srv *engine.Server, id *testkit.Identity) string {
	t.Helper()
	return listenWith(t, srv, "127.0.0.1:0", engine.ListenOptions{TLS: id.Server()})
}

// openTLS opens a WebSocket over TLS.
func openTLS(t testing.TB, addr string, config *tls.Config, lines ...string) *rawClient {
	t.Helper()
	c := dialRaw(t, addr).secured(config)
	c.send(testkit.UpgradeHead(addr, lines...))
	c.wantUpgraded()
	return c
}

// The certificate of a client is known before the upgrade is decided, by both
// ways.
func TestShouldUpgradeSeesTheCertificateOfTheClient(t *testing.T) {
	server, alice, mallory := testkit.NewIdentity(t, "server"), testkit.NewIdentity(t, "alice"), testkit.NewIdentity(t, "mallory")
	config := server.Server()
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, alice.Pool.Clone()
	config.ClientCAs.AddCert(mallory.Cert.Leaf)
	newServer := func() *engine.Server {
		return &engine.Server{
			ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
				if name := req.TLS().PeerCertificates[0].Subject.CommonName; name != "alice" {
					return nil, engine.Reject(http.StatusForbidden, "not "+name)
				}
				return nil, nil
			},
			OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
				_ = ws.SendText("hello " + ws.TLS().PeerCertificates[0].Subject.CommonName)
			},
		}
	}
	for name, addr := range map[string]string{
		"listener": listenWith(t, newServer(), "127.0.0.1:0", engine.ListenOptions{TLS: config}),
		"net/http": mountWith(t, newServer(), config),
	} {
		t.Run(name, func(t *testing.T) {
			as := func(id *testkit.Identity) *rawClient {
				client := server.Client()
				client.Certificates = []tls.Certificate{id.Cert}
				c := dialRaw(t, addr).secured(client)
				c.send(testkit.UpgradeHead(addr))
				return c
			}
			c := as(alice)
			c.wantUpgraded()
			c.wantMessage(engine.Text, "hello alice")
			as(mallory).wantRefused(http.StatusForbidden)
		})
	}
}

// recordReader notes the largest TLS record that it reads.
type recordReader struct {
	net.Conn
	stream  []byte
	largest int
}

func (r *recordReader) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.stream = append(r.stream, p[:n]...)
	for len(r.stream) >= 5 {
		length := int(r.stream[3])<<8 | int(r.stream[4])
		if len(r.stream) < 5+length {
			break
		}
		r.largest = max(r.largest, length)
		r.stream = r.stream[5+length:]
	}
	return n, err
}

func TestWhatACallbackSendsIsOneRecord(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	const messages, size = 20, 500
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		for range messages {
			_ = ws.SendBinary(make([]byte, size))
		}
	}}
	c := dialRaw(t, listenTLS(t, srv, id))
	wire := &recordReader{Conn: c.Conn}
	c.Conn = wire
	c = c.secured(id.Client())
	c.send(testkit.UpgradeHead("127.0.0.1"))
	c.wantUpgraded()
	for range messages {
		if _, payload, err := c.readFrame(); err != nil || len(payload) != size {
			t.Fatal(len(payload), err)
		}
	}
	if wire.largest < messages*size {
		t.Errorf("the largest record has %d bytes, want all of the %d", wire.largest, messages*size)
	}
}

func TestPlainRequestHasNoTLS(t *testing.T) {
	states := make(chan *tls.ConnectionState, 2)
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
		states <- ws.TLS()
		states <- req.TLS()
	}}
	openRaw(t, listen(t, srv))
	if a, b := within(t, "OnUpgrade", states), within(t, "OnUpgrade", states); a != nil || b != nil {
		t.Errorf("TLS is %v, %v", a, b)
	}
	if (&engine.Request{Request: new(handshake.Request)}).TLS() != nil {
		t.Error("a request of nobody has TLS")
	}
}

// endConn tells whether the transport ended before it was asked for more.
type endConn struct {
	net.Conn
	ended atomic.Bool
}

func (c *endConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// wantNotified wants close_notify: the end of TLS before that of TCP.
func wantNotified(t *testing.T, c *rawClient, under *endConn) {
	t.Helper()
	c.wantEOF()
	if under.ended.Load() {
		t.Error("TCP ended without close_notify")
	}
	if rest, err := io.ReadAll(under); err != nil || len(rest) > 0 {
		t.Errorf("behind close_notify: %q, %v; want the end of TCP", rest, err)
	}
}

// What Shutdown says arrives whole: the close frame, and that nothing follows.
func TestShutdownOverTLSSendsCloseFrameAndCloseNotify(t *testing.T) {
	const clients = 20
	id := testkit.NewIdentity(t, "server")
	var closed atomic.Int32
	srv := &engine.Server{Loops: 2, Callbacks: echo, Limits: engine.Limits{CloseTimeout: patience}} // one answers after the other
	srv.Callbacks.OnClose = func(_ *engine.WebSocket, code engine.StatusCode, _ string) {
		if code != engine.StatusNormalClosure {
			t.Errorf("OnClose was told %d", uint16(code))
		}
		closed.Add(1)
	}
	addr := listenTLS(t, srv, id)
	conns, under := make([]*rawClient, clients), make([]*endConn, clients)
	for i := range conns {
		under[i] = &endConn{Conn: dialRaw(t, addr).Conn}
		config := id.Client()
		config.MaxVersion = []uint16{tls.VersionTLS12, tls.VersionTLS13}[i%2]
		conns[i] = newRawClient(t, under[i]).secured(config)
		conns[i].send(testkit.UpgradeHead(addr))
		conns[i].wantUpgraded()
		conns[i].exchange("open")
	}
	ended := make(chan error, 1)
	go func() { ended <- shutdown(srv) }()
	for i, c := range conns {
		if code, _ := c.readClose(); code != engine.StatusGoingAway {
			t.Errorf("close code %d, want 1001", uint16(code))
		}
		c.send(testkit.Masked(codec.Close, "\x03\xe8"))
		wantNotified(t, c, under[i])
		_ = c.Close()
	}
	if err := within(t, "the end of Shutdown", ended); err != nil {
		t.Error("Shutdown:", err)
	}
	if n := srv.Conns(); n != 0 || closed.Load() != clients {
		t.Errorf("%d connections are left, %d were told of their end", n, closed.Load())
	}
}

// A refusal arrives whole, too.
func TestRefusalOverTLSEndsWithCloseNotify(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	addr := listenTLS(t, new(engine.Server), id)
	under := &endConn{Conn: dialRaw(t, addr).Conn}
	c := newRawClient(t, under).secured(id.Client())
	c.send(testkit.UpgradeHead(addr, "Origin: https://evil.example"))
	if resp, _ := c.readResponse(); resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d, want 403", resp.StatusCode)
	}
	wantNotified(t, c, under)
}

// R07
func TestConnectionOverTheLimitIsToldSoOverTLS(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{Callbacks: echo, Limits: engine.Limits{MaxConnections: 1}}
	addr := listenTLS(t, srv, id)
	first := openTLS(t, addr, id.Client())
	c := dialRaw(t, addr).secured(id.Client())
	c.wantRefused(http.StatusServiceUnavailable)
	first.exchange("unmoved")
	_ = first.Close()
	_ = c.Close()
	eventually(t, "the place of the closed connection", func() bool { return srv.Conns() == 0 })
	openTLS(t, addr, id.Client())
}

// H03, R15: one deadline holds for all that comes before the upgrade. Where TLS
// or a PROXY header is missing, the end comes without a word; where both stand,
// with 408.
func TestSilenceInEveryStageEndsAtTheDeadline(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{Limits: engine.Limits{HandshakeTimeout: 200 * time.Millisecond}}
	opt := engine.ListenOptions{TLS: id.Server()}
	tlsAddr := listenWith(t, srv, "127.0.0.1:0", opt)
	opt.ProxyProtocol = fromProxy.ProxyProtocol
	proxiedAddr := listenWith(t, srv, "127.0.0.1:0", opt)
	hello := clientHello(t, id)
	silent := map[string]struct{ addr, said string }{
		"nothing before TLS":   {tlsAddr, ""},
		"half a ClientHello":   {tlsAddr, hello[:len(hello)/2]},
		"a ClientHello":        {tlsAddr, hello},
		"nothing to a proxied": {proxiedAddr, ""},
		"half a PROXY header":  {proxiedAddr, v1Header[:20]},
		"only a PROXY header":  {proxiedAddr, v1Header},
	}
	for name, s := range silent {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, s.addr)
			c.send(s.said)
			if got, err := io.ReadAll(c.br); len(got) > 0 && s.said != hello || err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %q, %v; want nothing but the end", got, err)
			}
		})
	}
	config := id.Client()
	config.MaxVersion = tls.VersionTLS12 // where the server is first to have both
	eventually(t, "a TLS handshake within the timeout", func() bool {
		tc := tls.Client(dialRaw(t, tlsAddr).Conn, config)
		defer tc.Close()
		if err := tc.Handshake(); err != nil { // too late, which has been tested
			return false
		}
		newRawClient(t, tc).wantRefused(http.StatusRequestTimeout)
		return true
	})
	eventually(t, "all are gone", func() bool { return srv.Conns() == 0 })
}

// clientHello is what a client of id sends first.
func clientHello(t *testing.T, id *testkit.Identity) string {
	t.Helper()
	var hello bytes.Buffer
	err := tls.Client(recorder{&hello}, id.Client()).Handshake()
	if err == nil || hello.Len() == 0 {
		t.Fatalf("%d octets were sent, %v", hello.Len(), err)
	}
	return hello.String()
}

// recorder is a connection on which nothing is answered.
type recorder struct{ *bytes.Buffer }

func (recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (recorder) Close() error                     { return nil }
func (recorder) LocalAddr() net.Addr              { return nil }
func (recorder) RemoteAddr() net.Addr             { return nil }
func (recorder) SetDeadline(time.Time) error      { return nil }
func (recorder) SetReadDeadline(time.Time) error  { return nil }
func (recorder) SetWriteDeadline(time.Time) error { return nil }

func TestFailedTLSHandshakesAreLoggedButNotEach(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	logger, book := newLog()
	srv := &engine.Server{Logger: logger}
	addr := listenTLS(t, srv, id)
	hello := clientHello(t, id)
	for _, said := range []string{"", hello[:10], hello} { // those who look what is here
		c := dialRaw(t, addr)
		c.send(said)
		_ = c.Close()
	}
	openTLS(t, addr, id.Client())
	eventually(t, "those who looked are gone", func() bool { return srv.Conns() == 1 })
	if n := book.count("") - book.count(loopIsHeldUp); n > 0 {
		t.Errorf("%d lines are logged for those who only looked", n)
	}
	start := time.Now()
	for range 20 {
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr)) // ws:// instead of wss://
		c.wantGone()
	}
	eventually(t, "all are gone", func() bool { return srv.Conns() == 1 })
	seconds := time.Since(start)/time.Second + 2 // begun ones, and a loop that looked at its clock before
	if n := book.count("TLS handshake failed"); n == 0 || n > int(seconds) {
		t.Errorf("%d lines are logged for 20 failures in %d seconds, want one a second at most", n, seconds)
	}
}

// The ledger counts what TLS holds, and forgets it with the connections.
func TestMemoryOfTLSIsToldByItself(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{Loops: 2, Callbacks: echo}
	addr := listenTLS(t, srv, id)
	var peers []*rawClient
	for range 5 {
		peers = append(peers, openTLS(t, addr, id.Client()))
	}
	eventually(t, "5 idle connections hold 2000 to 6000 bytes each for TLS", func() bool { // what they sent last is forgotten
		m := srv.Memory()
		return m.TLS >= 5*2000 && m.TLS <= 5*6000 && m.Connections >= 5*100
	})
	for _, c := range peers {
		_ = c.Close()
	}
	eventually(t, "nothing is held any more", func() bool { return srv.Memory() == engine.Memory{} })
}
