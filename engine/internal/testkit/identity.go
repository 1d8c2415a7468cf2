package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Host is the name that the certificates of tests are for.
const Host = "fanloop.test"

// TLSVersions are the versions that a server speaks.
var TLSVersions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

// Identity is a self-signed certificate, and the pool that trusts it.
type Identity struct {
	Cert    tls.Certificate
	Pool    *x509.CertPool
	CertPEM []byte
	KeyPEM  []byte
}

// NewIdentity makes a certificate for Host whose subject has this name.
func NewIdentity(t testing.TB, name string) *Identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{Host},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id := &Identity{
		Pool:    x509.NewCertPool(),
		CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
	if id.Cert, err = tls.X509KeyPair(id.CertPEM, id.KeyPEM); err != nil {
		t.Fatal(err)
	}
	id.Pool.AddCert(id.Cert.Leaf)
	return id
}

// Server returns the configuration of a server with this certificate.
func (id *Identity) Server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{id.Cert}}
}

// Client returns the configuration of a client that trusts it.
func (id *Identity) Client() *tls.Config {
	return &tls.Config{RootCAs: id.Pool, ServerName: Host}
}
