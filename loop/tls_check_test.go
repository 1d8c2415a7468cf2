package loop

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"net"
	"testing"
)

// permanent is an error after which a tls.Conn does not go on: as if it did not
// look at Temporary.
type permanent struct{ noInput }

func (permanent) Temporary() bool { return false }

func TestCryptoTLSWorksOnLoops(t *testing.T) {
	if err := checkTLS(errNoInput); err != nil {
		t.Error(err)
	}
	if !lending.Load() {
		t.Error("nothing is lent with this release of crypto/tls")
	}
}

// The check finds a tls.Conn that does not go on after a temporary error.
func TestTheCheckFindsATLSConnThatCannotBeResumed(t *testing.T) {
	err := checkTLS(permanent{})
	if !errors.Is(err, ErrTLSUnusable) || !lending.Load() {
		t.Errorf("the check says %v", err)
	}
	t.Log(err)
}

// unusable makes the check fail.
func unusable(t *testing.T) {
	before := tlsCheck
	t.Cleanup(func() { tlsCheck = before })
	tlsCheck = func() error { return checkTLS(permanent{}) }
}

// With a crypto/tls that cannot be resumed, no connection of a loop speaks TLS.
func TestTLSIsRefusedWhereItCannotBeResumed(t *testing.T) {
	unusable(t)
	server, client := tlsConfigs(tls.VersionTLS13)
	g := start(t, Config{})
	s := newScripted()
	secure(s, func(s *scripted, _ func()) {
		s.StartTLSServer(server, nil, func() { t.Error("the handshake is done") })
	})
	nc := serveOne(t, g, nil, s)
	go func() { _ = tls.Client(nc, client).Handshake() }()
	if err := receive(t, s.closed); !errors.Is(err, ErrTLSUnusable) {
		t.Errorf("OnClose said %v", err)
	}
	_ = nc.Close()

	s = newScripted()
	secure(s, asClient(client))
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	if err := g.Dial(nl.Addr(), s, DialConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, s.closed); !errors.Is(err, ErrTLSUnusable) {
		t.Errorf("OnClose of a client said %v", err)
	}

	tl := NewTLSListener(nl, server)
	dialed := make(chan error, 1)
	go func() {
		nc, err := net.Dial("tcp", nl.Addr().String())
		if err == nil {
			defer nc.Close()
			err = tls.Client(nc, client).Handshake()
		}
		dialed <- err
	}()
	tc, err := tl.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for end := false; !end; { // the one that the client left in the backlog
		end = tc.(*tls.Conn).Handshake() == nil
		if !end {
			_ = tc.Close()
			if tc, err = tl.Accept(); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer tc.Close()
	if err := receive(t, dialed); err != nil {
		t.Fatal(err)
	}
	if err := g.Adopt(tc, newScripted(), nil); !errors.Is(err, ErrTLSUnusable) {
		t.Errorf("Adopt said %v", err)
	}
}

// The check finds a tls.Conn that does not read what it is lent.
func TestTheCheckFindsATLSConnThatReadsByItself(t *testing.T) {
	cert, err := checkCertificate()
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		pair, err := newCheckPair(cert, version, errNoInput)
		if err != nil {
			t.Fatal(err)
		}
		if !pair.lends() {
			t.Errorf("%s: nothing is lent", tls.VersionName(version))
		}
		before := rawInputAt
		rawInputAt = handAt
		if pair.lends() {
			t.Errorf("%s: it reads a buffer that it does not know", tls.VersionName(version))
		}
		rawInputAt = before
	}
}

// The certificate of the check is what crypto/x509 makes of its key.
func TestTheCertificateOfTheCheckIsItsOwn(t *testing.T) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, checkKey().Public(), checkKey())
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(der); got != checkDER {
		t.Errorf("crypto/x509 makes %s", got)
	}
}
