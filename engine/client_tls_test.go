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

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// startForeign serves an echo over TLS by crypto/tls, net/http and gobwas/ws.
func startForeign(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, _, err := gobwas.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			p, op, err := wsutil.ReadClientData(rw)
			if err != nil || wsutil.WriteServerMessage(conn, op, p) != nil {
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

func TestDialOverTLSToGobwas(t *testing.T) {
	srv := startForeign(t)
	for name, version := range testkit.TLSVersions {
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
	id := testkit.NewIdentity(t, "server")
	addr := listenTLS(t, &engine.Server{Callbacks: echo}, id)
	got := make(chan []byte, 1)
	ws := dialTLS(t, "wss://"+addr+"/", &engine.DialOptions{TLS: id.Client(), Callbacks: binaryTo(got)})
	echoed(t, ws, got, pattern(100_000))
	plain := dialEngine(t, listen(t, &engine.Server{}), nil)
	if ws.TLS() == nil || plain.TLS() != nil {
		t.Errorf("TLS says %v over TLS, %v without", ws.TLS(), plain.TLS())
	}
}

func TestCertificateErrorsComeOutOfDial(t *testing.T) {
	srv := startForeign(t)
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
	r := reconnecting(t, wssURL(srv), nil, newSlowestClock().of(engine.ReconnectPolicy{}))
	within(t, "the end of reconnecting", r.Done())
	if !errors.As(r.Err(), &unknown) {
		t.Errorf("reconnecting ended with %v, want an x509.UnknownAuthorityError", r.Err())
	}
}

func TestClientCertificateIsSent(t *testing.T) {
	id, me := testkit.NewIdentity(t, "server"), testkit.NewIdentity(t, "me")
	config := id.Server()
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, me.Pool
	names := make(chan string, 1)
	addr := listenWith(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		names <- ws.TLS().PeerCertificates[0].Subject.CommonName
	}}, "127.0.0.1:0", engine.ListenOptions{TLS: config})
	mine := id.Client()
	mine.Certificates = []tls.Certificate{me.Cert}
	dialTLS(t, "wss://"+addr, &engine.DialOptions{TLS: mine})
	if name := within(t, "the connection", names); name != "me" {
		t.Errorf("the server saw the certificate of %q", name)
	}
	if _, err := engine.Dial(context.Background(), "wss://"+addr, &engine.DialOptions{TLS: id.Client()}); err == nil {
		t.Error("Dial without a certificate succeeded")
	}
}

func TestSecondDialResumesTheTLSSession(t *testing.T) {
	srv := startForeign(t)
	for name, version := range testkit.TLSVersions {
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
	srv := startForeign(t)
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
	id := testkit.NewIdentity(t, "server")
	secured := listenTLS(t, &engine.Server{ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
		if req.Path() == "/down" {
			return nil, &handshake.Rejection{Status: 302, Header: map[string][]string{"Location": {"ws://127.0.0.1:1/"}}}
		}
		return nil, nil
	}}, id)
	up := answering(t, func(*http.Request) string { return redirecting("308", "https://"+secured) })
	opt := &engine.DialOptions{TLS: id.Client(), MaxRedirects: 1}
	if err := dialPath(t, "ws://"+up.addr, opt); err != nil {
		t.Errorf("from ws to wss: %v", err)
	}
	err := dialPath(t, "wss://"+secured+"/down", opt)
	var refused *engine.StatusError
	if !errors.Is(err, engine.ErrInsecureRedirect) || !errors.As(err, &refused) {
		t.Errorf("from wss to ws: %v, want ErrInsecureRedirect with the answer", err)
	}
}
