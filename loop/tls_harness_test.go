package loop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"
)

// authority signs the certificates of the tests.
var authority = sync.OnceValue(func() (a struct {
	pool           *x509.CertPool
	server, client tls.Certificate
}) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	sign := func(template *x509.Certificate) tls.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), key)
		if err != nil {
			panic(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	}
	a.pool = x509.NewCertPool()
	a.pool.AddCert(sign(root).Leaf)
	leaf := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
			NotAfter:    root.NotAfter,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	a.server, a.client = sign(leaf(2, "server.test")), sign(leaf(3, "client.test"))
	return a
})

// tlsConfigs are those of a server and of a client that trusts it, for one
// version.
func tlsConfigs(version uint16) (server, client *tls.Config) {
	server = &tls.Config{Certificates: []tls.Certificate{authority().server}, MinVersion: version, MaxVersion: version}
	client = &tls.Config{RootCAs: authority().pool, ServerName: "server.test", MinVersion: version, MaxVersion: version}
	return server, client
}

// eachTLS runs test for every version, with and without lending.
func eachTLS(t *testing.T, test func(t *testing.T, server, client *tls.Config)) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, lent := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s lending=%t", tls.VersionName(version), lent), func(t *testing.T) {
				old := lending.Swap(lent)
				defer lending.Store(old)
				server, client := tlsConfigs(version)
				test(t, server, client)
			})
		}
	}
}

// secure makes s begin with TLS. handshakeOver is closed when the handshake is over.
func secure(s *scripted, start func(*scripted, func())) (handshakeOver <-chan struct{}) {
	done, before := make(chan struct{}), s.onOpen
	s.onOpen = func(s *scripted) {
		start(s, func() {
			if before != nil {
				before(s)
			}
			close(done)
		})
	}
	return done
}

func asServer(config *tls.Config) func(*scripted, func()) {
	return func(s *scripted, done func()) { s.StartTLSServer(config, nil, done) }
}

func asClient(config *tls.Config) func(*scripted, func()) {
	return func(s *scripted, done func()) { s.StartTLSClient(config, nil, done) }
}

// serveTLS returns an encrypted connection to s, which the group serves.
func serveTLS(t *testing.T, g *Group, policy *WritePolicy, s *scripted, server, client *tls.Config) *tls.Conn {
	t.Helper()
	handshakeOver := secure(s, asServer(server))
	peer := tls.Client(serveOne(t, g, policy, s), client)
	if err := peer.Handshake(); err != nil {
		t.Fatal(err)
	}
	receive(t, handshakeOver)
	return peer
}
