package engine_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// sources are ways in which GetConfigForClient can come by what it returns.
func sources(config *tls.Config) map[string]func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return map[string]func(*tls.ClientHelloInfo) (*tls.Config, error){
		"the same":  func(*tls.ClientHelloInfo) (*tls.Config, error) { return config, nil },
		"a new one": func(*tls.ClientHelloInfo) (*tls.Config, error) { return config.Clone(), nil },
		"none":      func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil },
	}
}

// F-m: a listener of a server agrees on HTTP/1.1 with those who would rather speak
// HTTP/2, whatever the configuration it is given for them, and packs records the
// way it does with its own.
func TestAListenerAgreesOnHTTP1WithEveryConfig(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	theirs := id.Server()
	theirs.NextProtos = []string{"h2", "http/1.1"}
	for name, source := range sources(theirs) {
		t.Run(name, func(t *testing.T) {
			base := id.Server()
			base.NextProtos, base.GetConfigForClient = theirs.NextProtos, source
			addr := listenWith(t, &engine.Server{Callbacks: echo}, "127.0.0.1:0", engine.ListenOptions{TLS: base})
			client := id.Client()
			client.NextProtos = []string{"h2", "http/1.1"}
			records := &recordReader{Conn: dialRaw(t, addr)}
			tc := tls.Client(records, client)
			c := newRawClient(t, tc)
			c.send(testkit.UpgradeHead(addr))
			c.wantUpgraded()
			if got := tc.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("ALPN agreed on %q", got)
			}
			c.exchange(string(pattern(15_000)))
			if records.largest < 15_000 {
				t.Errorf("15 000 octets came in records of at most %d", records.largest)
			}
			client.NextProtos = []string{"h2"}
			nc := dialRaw(t, addr)
			if err := tls.Client(nc, client).Handshake(); err == nil {
				t.Error("who speaks HTTP/2 only was let in")
			}
		})
	}
}

// net/http may speak HTTP/2 behind NewTLSListener.
func TestConfigsOfATLSListenerForNetHTTPKeepTheirProtocols(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	theirs := id.Server()
	theirs.NextProtos = []string{"h2", "http/1.1"}
	base := id.Server()
	base.GetConfigForClient = sources(theirs)["the same"]
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := engine.NewTLSListener(nl, base)
	defer ln.Close()
	client := id.Client()
	client.NextProtos = []string{"h2", "http/1.1"}
	done := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			err = nc.(*tls.Conn).Handshake()
			_ = nc.Close()
		}
		done <- err
	}()
	tc := tls.Client(dialRaw(t, ln.Addr().String()), client)
	if err := errors.Join(tc.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	if got := tc.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("ALPN agreed on %q", got)
	}
}

// Sessions are resumed whoever made the keys of their tickets: crypto/tls for the
// listener, or the program for what GetConfigForClient returns.
func TestSessionsAreResumedWithConfigsForClients(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	for _, ownKeys := range []bool{false, true} {
		theirs := id.Server()
		theirs.NextProtos = []string{"h2", "http/1.1"}
		if ownKeys {
			theirs.SetSessionTicketKeys([][32]byte{{1}})
		}
		for name, source := range sources(theirs) {
			for version, max := range testkit.TLSVersions {
				base := id.Server()
				base.GetConfigForClient = source
				addr := listenWith(t, &engine.Server{Callbacks: echo}, "127.0.0.1:0", engine.ListenOptions{TLS: base})
				client := id.Client()
				client.MaxVersion, client.ClientSessionCache = max, tls.NewLRUClientSessionCache(1)
				for _, resumed := range []bool{false, true} {
					c := openTLS(t, addr, client)
					c.exchange("hello") // the ticket comes before the answer
					if got := c.Conn.(*tls.Conn).ConnectionState().DidResume; got != resumed {
						t.Errorf("%s, %s, own keys %t: resumed %t, want %t", name, version, ownKeys, got, resumed)
					}
				}
			}
		}
	}
}

// What GetConfigForClient fails with ends its connection only.
func TestAnErrorOfGetConfigForClientEndsTheHandshake(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	base := id.Server()
	base.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(info.SupportedProtos, "bad") {
			return nil, errors.New("not for you")
		}
		return nil, nil
	}
	addr := listenWith(t, &engine.Server{Callbacks: echo}, "127.0.0.1:0", engine.ListenOptions{TLS: base})
	client := id.Client()
	client.NextProtos = []string{"bad"}
	if err := tls.Client(dialRaw(t, addr), client).Handshake(); err == nil {
		t.Error("the handshake went through")
	}
	openTLS(t, addr, id.Client()).exchange("hello")
}

// A listener without a certificate says so at once, and not to each client.
func TestTLSListenerWithoutACertificateAcceptsNothing(t *testing.T) {
	for name, config := range map[string]*tls.Config{"none": nil, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			nl, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- http.Serve(engine.NewTLSListener(nl, config), nil) }()
			defer nl.Close()
			if err := within(t, "Serve", ended); !strings.Contains(err.Error(), "set Certificates") {
				t.Errorf("Serve returned %v", err)
			}
		})
	}
}
