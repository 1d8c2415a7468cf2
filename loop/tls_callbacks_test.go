package loop

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"
)

// failingCache is a ClientSessionCache whose methods may not return.
type failingCache struct {
	tls.ClientSessionCache
	get, put func()
}

func (c failingCache) Get(key string) (*tls.ClientSessionState, bool) {
	if c.get != nil {
		c.get()
	}
	return c.ClientSessionCache.Get(key)
}

func (c failingCache) Put(key string, state *tls.ClientSessionState) {
	if c.put != nil {
		c.put()
	}
	c.ClientSessionCache.Put(key, state)
}

// failingWriter is a KeyLogWriter.
type failingWriter struct{ end func() }

func (w failingWriter) Write(b []byte) (int, error) {
	w.end()
	return len(b), nil
}

// both are the callbacks that servers and clients have.
func both(config *tls.Config, end func()) map[string]func() {
	return map[string]func(){
		"VerifyConnection": func() { config.VerifyConnection = func(tls.ConnectionState) error { end(); return nil } },
		"VerifyPeerCertificate": func() {
			config.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { end(); return nil }
		},
		"KeyLogWriter": func() { config.KeyLogWriter = failingWriter{end} },
	}
}

func serverCallbacks(config *tls.Config, end func()) map[string]func() {
	all := both(config, end)
	all["GetCertificate"] = func() {
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { end(); return nil, nil }
		config.Certificates = nil
	}
	all["GetConfigForClient"] = func() {
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { end(); return nil, nil }
	}
	all["WrapSession"] = func() {
		config.WrapSession = func(tls.ConnectionState, *tls.SessionState) ([]byte, error) { end(); return nil, nil }
	}
	return all
}

func clientCallbacks(config *tls.Config, end func()) map[string]func() {
	all, cache := both(config, end), tls.NewLRUClientSessionCache(1)
	all["GetClientCertificate"] = func() {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { end(); return nil, nil }
		config.Certificates = nil
	}
	all["ClientSessionCache.Get"] = func() { config.ClientSessionCache = failingCache{cache, end, nil} }
	all["ClientSessionCache.Put"] = func() { config.ClientSessionCache = failingCache{cache, nil, end} }
	return all
}

// wantIdle asserts that no handshake of g holds anything.
func wantIdle(t *testing.T, g *Group) {
	t.Helper()
	eventually(t, "no place and no turn is taken", func() bool {
		g.turns.mu.Lock()
		defer g.turns.mu.Unlock()
		return placesTaken(g) == 0 && handshakesHolding(g) == 0 && handshakesWaiting(g) == 0 && g.turns.taken == 0
	})
}

// eachCallback runs a test for every callback of a tls.Config that configs names,
// every version, and every way not to return.
func eachCallback(t *testing.T, configs func(*tls.Config, func()) map[string]func(), test func(t *testing.T, change string, server, client *tls.Config, end func())) {
	for name := range configs(new(tls.Config), nil) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for how, end := range endings {
				t.Run(name+"/"+tls.VersionName(version)+"/"+how, func(t *testing.T) {
					server, client := tlsConfigs(version)
					server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, authority().pool
					client.Certificates = []tls.Certificate{authority().client}
					client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
					test(t, name, server, client, end)
				})
			}
		}
	}
}

// wantCallbackError asserts that err is how a callback ended, and says how many
// are counted: of what a KeyLogWriter returns, crypto/tls may keep the text only.
func wantCallbackError(t *testing.T, err error) (counted uint64) {
	t.Helper()
	var p *PanicError
	if errors.As(err, &p) {
		return 1
	}
	if err == nil || !strings.Contains(err.Error(), "key log: loop: a callback") {
		t.Errorf("OnClose said %v", err)
	}
	return 0
}

// G01: a callback of a server's tls.Config that does not return ends its
// connection, and nothing else.
func TestACallbackOfAServersTLSThatDoesNotReturn(t *testing.T) {
	eachCallback(t, serverCallbacks, func(t *testing.T, change string, server, client *tls.Config, end func()) {
		g := start(t, Config{MaxHandshakes: 1, Loops: 1})
		failing := server.Clone()
		serverCallbacks(failing, end)[change]()
		failing = IsolateTLS(failing)
		s := newScripted()
		secure(s, asServer(failing))
		nc := serveOne(t, g, nil, s)
		go func() {
			peer := tls.Client(nc, client)
			_ = peer.Handshake()
			_, _ = peer.Read(make([]byte, 1))
		}()
		counted := wantCallbackError(t, receive(t, s.closed))
		s.checkOrder(t)
		next := newEcho()
		roundTrip(t, serveTLS(t, g, nil, next, server, client), "served")
		next.Close(CloseNow)
		receive(t, next.closed)
		wantIdle(t, g)
		if n := g.Panics().Count(); n != counted {
			t.Errorf("%d panics are counted, want %d", n, counted)
		}
	})
}

// G01: the same of a client. What ClientSessionCache.Put does in TLS 1.3 is done
// on the loop.
func TestACallbackOfAClientsTLSThatDoesNotReturn(t *testing.T) {
	eachCallback(t, clientCallbacks, func(t *testing.T, change string, server, client *tls.Config, end func()) {
		serving := start(t, Config{})
		ln := listen(t, serving, nil, func(*Loop) Handler {
			s := newEcho()
			secure(s, asServer(server))
			return s
		})
		g := start(t, Config{MaxHandshakes: 1, Loops: 1})
		dial := func(config *tls.Config) *scripted {
			s := newScripted()
			s.onOpen = func(s *scripted) { _ = s.Write(nil, []byte("hello")) }
			s.onData = func(s *scripted, _ []byte) { s.Close(CloseNow) }
			secure(s, asClient(config))
			if err := g.Dial(ln.Addr(), s, DialConfig{}); err != nil {
				t.Fatal(err)
			}
			return s
		}
		failing := client.Clone()
		clientCallbacks(failing, end)[change]()
		s := dial(failing)
		counted := wantCallbackError(t, receive(t, s.closed))
		s.checkOrder(t)
		if err := receive(t, dial(client).closed); err != nil {
			t.Error(err)
		}
		wantIdle(t, g)
		if n := g.Panics().Count(); n != counted {
			t.Errorf("%d panics are counted, want %d", n, counted)
		}
	})
}

// G01: what was decrypted behind the data of an OnData that does not return is not
// forgotten: here the end.
func TestTheEndComesAfterOnDataThatDoesNotReturn(t *testing.T) {
	for name, end := range endings {
		eachTLS(t, func(t *testing.T, server, client *tls.Config) {
			g := start(t, Config{})
			s := newScripted()
			s.onData = func(*scripted, []byte) { end() }
			s.onEOF = func(s *scripted) { s.Close(CloseFlushed) }
			told := make(chan error, 1)
			h := &panicky{s, func(err *PanicError) { told <- err }}
			handshakeOver := secure(s, asServer(server))
			nc := connectTo(t, listen(t, g, nil, func(*Loop) Handler { return h }))
			wire := &inPieces{Conn: nc, cut: func(n int) int { return n }}
			peer := tls.Client(wire, client)
			if err := peer.Handshake(); err != nil {
				t.Fatal(err)
			}
			receive(t, handshakeOver)
			wire.cut = func(int) int { return 0 }
			_, _ = peer.Write([]byte("data"))
			_ = peer.CloseWrite()
			_ = nc.SetDeadline(time.Now().Add(patience)) // CloseWrite has set one
			if _, err := nc.Write(wire.buf); err != nil {
				t.Fatal(err)
			}
			receive(t, told)
			if err := receive(t, s.closed); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
