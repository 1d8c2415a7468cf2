package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// startGorilla serves an echo over TLS by crypto/tls, net/http and gorilla.
func startGorilla(t *testing.T) *httptest.Server {
	t.Helper()
	var upgrader gorilla.Upgrader
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			kind, p, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, p) != nil {
				return
			}
		}
	}))
	srv.EnableHTTP2 = true // so that it would be taken if it were offered
	srv.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// trusting is a configuration that trusts the certificate of srv.
func trusting(srv *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return &tls.Config{RootCAs: pool}
}

func wssURL(srv *httptest.Server) string { return "wss" + strings.TrimPrefix(srv.URL, "https") }

// echoed sends p and waits until it has come back.
func echoed(t *testing.T, ws *engine.WebSocket, got <-chan []byte, p []byte) {
	t.Helper()
	if err := ws.SendBinary(p); err != nil {
		t.Fatal(err)
	}
	if back := within(t, "the echo", got); !bytes.Equal(back, p) {
		t.Fatalf("%d bytes came back, not the %d that were sent", len(back), len(p))
	}
}

func binaryTo(got chan []byte) engine.Callbacks {
	return engine.Callbacks{OnBinary: func(_ *engine.WebSocket, p []byte) { got <- bytes.Clone(p) }}
}

// dialTLS opens a WebSocket and drops it with the test.
func dialTLS(t *testing.T, url string, opt *engine.DialOptions) *engine.WebSocket {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, err := engine.Dial(ctx, url, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ws.CloseNow()
		within(t, "the end of a dialed connection", ws.Done())
	})
	return ws
}

func TestDialOverTLSToGorilla(t *testing.T) {
	srv := startGorilla(t)
	for name, version := range tlsVersions {
		t.Run(name, func(t *testing.T) {
			config := trusting(srv)
			config.MaxVersion = version
			config.NextProtos = []string{"h2"}
			got := make(chan []byte, 1)
			ws := dialTLS(t, wssURL(srv)+"/", &engine.DialOptions{TLS: config, Callbacks: binaryTo(got)})
			for _, size := range []int{0, 1, 125, 126, 16<<10 + 1, 1 << 20} {
				echoed(t, ws, got, pattern(size))
			}
			state := ws.TLS()
			if state == nil || state.Version != version || state.NegotiatedProtocol != "http/1.1" {
				t.Errorf("TLS returned %+v, want version %x and http/1.1", state, version)
			}
			if config.NextProtos[0] != "h2" || config.ServerName != "" {
				t.Error("the configuration of the caller was changed")
			}
		})
	}
}

func TestDialOverTLSToOurServer(t *testing.T) {
	id := newIdentity(t, "server")
	addr := listenTLS(t, &engine.Server{Callbacks: echo}, id)
	got := make(chan []byte, 1)
	ws := dialTLS(t, "wss://"+addr+"/", &engine.DialOptions{TLS: id.client(), Callbacks: binaryTo(got)})
	echoed(t, ws, got, pattern(100_000))
	plain := dialEngine(t, listen(t, &engine.Server{}), nil)
	if ws.TLS() == nil || plain.TLS() != nil {
		t.Errorf("TLS says %v over TLS, %v without", ws.TLS(), plain.TLS())
	}
}

func TestCertificateErrorsComeOutOfDial(t *testing.T) {
	srv := startGorilla(t)
	dial := func(config *tls.Config) error {
		_, err := engine.Dial(context.Background(), wssURL(srv), &engine.DialOptions{TLS: config})
		var failed *tls.CertificateVerificationError
		if !errors.As(err, &failed) {
			t.Errorf("Dial returned %v, want a *tls.CertificateVerificationError", err)
		}
		return err
	}
	var unknown x509.UnknownAuthorityError
	if err := dial(nil); !errors.As(err, &unknown) {
		t.Errorf("by the roots of the system: %v, want an x509.UnknownAuthorityError", err)
	}
	config := trusting(srv)
	config.ServerName = "other.test"
	var other x509.HostnameError
	if err := dial(config); !errors.As(err, &other) {
		t.Errorf("under another name: %v, want an x509.HostnameError", err)
	}
	r := reconnecting(t, wssURL(srv), nil, newSlowestClock().of(engine.Reconnect{}))
	within(t, "the end of reconnecting", r.Done())
	if !errors.As(r.Err(), &unknown) {
		t.Errorf("reconnecting ended with %v, want an x509.UnknownAuthorityError", r.Err())
	}
}

func TestClientCertificateIsSent(t *testing.T) {
	id, me := newIdentity(t, "server"), newIdentity(t, "me")
	config := id.server()
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, me.pool
	names := make(chan string, 1)
	addr := listenWith(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *handshake.Request) {
		names <- ws.TLS().PeerCertificates[0].Subject.CommonName
	}}, "127.0.0.1:0", engine.ListenOptions{TLS: config})
	mine := id.client()
	mine.Certificates = []tls.Certificate{me.cert}
	dialTLS(t, "wss://"+addr, &engine.DialOptions{TLS: mine})
	if name := within(t, "the connection", names); name != "me" {
		t.Errorf("the server saw the certificate of %q", name)
	}
	if _, err := engine.Dial(context.Background(), "wss://"+addr, &engine.DialOptions{TLS: id.client()}); err == nil {
		t.Error("Dial without a certificate succeeded")
	}
}

func TestSecondDialResumesTheTLSSession(t *testing.T) {
	srv := startGorilla(t)
	for name, version := range tlsVersions {
		t.Run(name, func(t *testing.T) {
			config := trusting(srv)
			config.MaxVersion = version
			config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for _, resumed := range []bool{false, true} {
				got := make(chan []byte, 1)
				ws := dialTLS(t, wssURL(srv), &engine.DialOptions{TLS: config, Callbacks: binaryTo(got)})
				echoed(t, ws, got, []byte("the ticket was before this"))
				if ws.TLS().DidResume != resumed {
					t.Errorf("DidResume is %v, want %v", ws.TLS().DidResume, resumed)
				}
			}
		})
	}
}

func TestDialOverTLSThroughAProxy(t *testing.T) {
	srv := startGorilla(t)
	for scheme, ask := range map[string]func(*proxyServer, net.Conn) bool{"http": askCONNECT, "socks5": askSOCKS} {
		t.Run(scheme, func(t *testing.T) {
			p := startProxy(t, srv.Listener.Addr().String(), ask)
			got := make(chan []byte, 1)
			ws := dialTLS(t, "wss://example.com/", &engine.DialOptions{ // httptest's name
				TLS: trusting(srv), Proxy: p.url(scheme, proxyPassword), Callbacks: binaryTo(got),
			})
			echoed(t, ws, got, pattern(1000))
			if asked := <-p.asked; !strings.Contains(asked, "example.com") || !strings.Contains(asked, "443") {
				t.Errorf("the proxy was asked for %q", asked)
			}
		})
	}
}

// What a TLS server sends at once, through a proxy that adds it to its answer.
func TestAlertBehindTheAnswerOfAProxyIsHeard(t *testing.T) {
	p := startProxy(t, "", func(_ *proxyServer, nc net.Conn) bool {
		if _, err := http.ReadRequest(bufio.NewReader(nc)); err != nil {
			return false
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n\x15\x03\x03\x00\x02\x02\x50") // fatal, internal_error
		_, _ = io.Copy(io.Discard, nc)
		return false
	})
	_, err := engine.Dial(context.Background(), "wss://a.test/", &engine.DialOptions{Proxy: p.url("http", "")})
	if err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("Dial returned %v, want the alert", err)
	}
}

func TestRedirectsBetweenPlainAndTLS(t *testing.T) {
	id := newIdentity(t, "server")
	secured := listenTLS(t, &engine.Server{ShouldUpgrade: func(req *handshake.Request) (http.Header, error) {
		if req.Path() == "/down" {
			return nil, &handshake.Rejection{Status: 302, Header: map[string][]string{"Location": {"ws://127.0.0.1:1/"}}}
		}
		return nil, nil
	}}, id)
	up := answering(t, func(*http.Request) string { return redirecting("308", "https://"+secured) })
	opt := &engine.DialOptions{TLS: id.client(), MaxRedirects: 1}
	if err := dialPath(t, "ws://"+up.addr, opt); err != nil {
		t.Errorf("from ws to wss: %v", err)
	}
	err := dialPath(t, "wss://"+secured+"/down", opt)
	var refused *engine.StatusError
	if !errors.Is(err, engine.ErrInsecureRedirect) || !errors.As(err, &refused) {
		t.Errorf("from wss to ws: %v, want ErrInsecureRedirect with the answer", err)
	}
}

// fakeTLS is fake over TLS.
func fakeTLS(t *testing.T, id *identity, script func(nc net.Conn, req *http.Request)) *fakeServer {
	t.Helper()
	return serveFake(t, func(nc net.Conn) net.Conn { return tls.Server(nc, id.server()) }, script)
}

// H12
func TestHostileServersOverTLS(t *testing.T) {
	id := newIdentity(t, "server")
	wait := func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }
	endless := func(nc net.Conn) {
		for line := []byte(strings.Repeat("X: abcdefghijklmnop\r\n", 200)); ; {
			if _, err := nc.Write(line); err != nil {
				return // the client gave up
			}
		}
	}
	for name, c := range map[string]struct {
		answer func(req *http.Request) string
		then   func(nc net.Conn)
		is     error // nil: a *handshake.ResponseError
	}{
		"wrong accept": {func(req *http.Request) string {
			return strings.Replace(switching(req), "Accept: ", "Accept: x", 1)
		}, wait, nil},
		"101 with body": {func(req *http.Request) string { return switching(req, "Content-Length: 5") + "hello" }, wait, nil},
		"endless":       {func(*http.Request) string { return "HTTP/1.1 101 OK\r\n" }, endless, handshake.ErrHeadTooLarge},
		"mid head":      {func(*http.Request) string { return "HTTP/1.1 101 OK\r\nX" }, func(net.Conn) {}, engine.ErrAbnormalClosure},
		"silent":        {func(*http.Request) string { return "" }, wait, engine.ErrHandshakeTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			s := fakeTLS(t, id, func(nc net.Conn, req *http.Request) {
				_, _ = io.WriteString(nc, c.answer(req))
				c.then(nc)
			})
			opt := &engine.DialOptions{TLS: id.client()}
			if c.is == engine.ErrHandshakeTimeout {
				opt.Limits.HandshakeTimeout = 200 * time.Millisecond
			}
			before, _ := allocated()
			_, err := engine.Dial(context.Background(), "wss://"+s.addr, opt)
			after, _ := allocated()
			var refused *handshake.ResponseError
			if c.is != nil && !errors.Is(err, c.is) || c.is == nil && !errors.As(err, &refused) {
				t.Errorf("Dial returned %v, want %v", err, c.is)
			}
			if after-before > 4<<20 { // both sides of TLS are in this process
				t.Errorf("%d bytes were allocated", after-before)
			}
		})
	}
}

// H12
func TestServersThatDoNotSpeakTLS(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		is     error // nil: whatever TLS says
	}{
		"plain HTTP":  {"HTTP/1.1 400 Bad Request\r\n\r\n", nil},
		"goes away":   {"", io.ErrUnexpectedEOF},
		"endless TLS": {strings.Repeat("\x16\x03\x03\x40\x00"+strings.Repeat("\x02\x00\x00\x00", 4<<10), 64), nil},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(patience))
				_, _ = nc.Read(make([]byte, 1<<10))
				_, _ = io.WriteString(nc, c.answer)
				if c.answer == "" {
					_ = nc.(*net.TCPConn).CloseWrite()
				}
				_, _ = io.Copy(io.Discard, nc)
			}()
			_, err = engine.Dial(context.Background(), "wss://"+ln.Addr().String(), nil)
			if err == nil || errors.Is(err, engine.ErrHandshakeTimeout) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("Dial returned %v", err)
			}
			_ = ln.Close()
			within(t, "the end of the server", served)
		})
	}
}

// L07: a TLS handshake under way ends with ctx and with the group.
func TestTLSHandshakeEndsWithContextAndGroup(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, want := range map[string]error{"ctx": context.Canceled, "group": loop.ErrStopped} {
		t.Run(name, func(t *testing.T) {
			group, err := loop.Start(loop.Config{Loops: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer group.Stop(context.Background())
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			dialed := make(chan error, 1)
			go func() {
				_, err := engine.Dial(ctx, "wss://"+ln.Addr().String(), &engine.DialOptions{Group: group})
				dialed <- err
			}()
			nc, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			c := newRawClient(t, nc)
			if _, err := c.br.ReadByte(); err != nil { // of the ClientHello
				t.Fatal(err)
			}
			if name == "ctx" {
				cancel()
			} else if err := group.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := within(t, "the end of Dial", dialed); !errors.Is(err, want) {
				t.Errorf("Dial returned %v, want %v", err, want)
			}
			c.wantGone()
		})
	}
}

// F04, F10: what a client answers over TLS to a server that breaks rules.
func TestClientFailsServersThatBreakFramingOverTLS(t *testing.T) {
	id := newIdentity(t, "server")
	for frame, code := range map[string]engine.StatusCode{
		"\xc1\x00":         engine.StatusProtocolError,
		"\x82\x7e\x04\x01": engine.StatusMessageTooBig,
	} {
		closes := make(chan engine.StatusCode, 1)
		s := fakeTLS(t, id, func(nc net.Conn, req *http.Request) {
			_, _ = io.WriteString(nc, switching(req)+frame)
			raw, _ := io.ReadAll(nc)
			h, n, err := codec.ParseHeader(raw)
			if err != nil || n == 0 || len(raw) != n+int(h.Length) {
				t.Errorf("the client sent % x", raw)
				closes <- 0
				return
			}
			for i := range raw[n:] {
				raw[n+i] ^= h.Mask[i%4]
			}
			got, _, _ := codec.ParseClosePayload(raw[n:])
			closes <- got
		})
		ws := dialTLS(t, "wss://"+s.addr, &engine.DialOptions{TLS: id.client(), Limits: engine.Limits{MaxMessage: 1024}})
		if got := within(t, "the close frame of the client", closes); got != code {
			t.Errorf("the client closed with %d, want %d", got, code)
		}
		within(t, "the end", ws.Done())
	}
}
