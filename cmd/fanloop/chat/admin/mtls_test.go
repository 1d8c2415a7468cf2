package admin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/admin"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/metrics"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	own := a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = own.Leaf, own.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a certificate that is valid now unless it says until when.
func (a *authority) sign(about *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	about.SerialNumber = big.NewInt(time.Now().UnixNano())
	about.NotBefore = time.Now().Add(-48 * time.Hour)
	if about.NotAfter.IsZero() {
		about.NotAfter = time.Now().Add(time.Hour)
	}
	parent, by := about, key
	if a.cert != nil {
		parent, by = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, about, parent, key.Public(), by)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// client is a certificate of a name, valid until a time.
func (a *authority) client(name string, until time.Time) tls.Certificate {
	return a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// files writes a certificate and its key.
func (a *authority) files(c tls.Certificate) (cert, key string) {
	a.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	folder := a.t.TempDir()
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key
}

// A certificate of the authority shows a caller or an operator; none, that of another
// authority, one that has ended and another name do not.
func TestCertificatesOfClients(t *testing.T) {
	s, ctx := start(t, nil)
	ours, foreign := newAuthority(t), newAuthority(t)
	c := config.Default()
	c.AdminTLSCert, c.AdminTLSKey = ours.files(ours.sign(&x509.Certificate{
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}))
	c.AdminClientCA, _ = ours.files(tls.Certificate{Certificate: [][]byte{ours.cert.Raw}, PrivateKey: ours.key})
	c.Operator.Certificates = []string{"ops"}
	c.Callers = []config.Caller{
		{Name: "shop", Certificate: "shop.internal", Calls: []string{"publish"}},
		{Name: "bank", Key: config.NewSecret(callerKey), Calls: []string{"publish"}},
	}
	callers, err := c.APICallers()
	if err != nil {
		t.Fatal(err)
	}
	settings, err := c.AdminTLS(logger)
	if err != nil {
		t.Fatal(err)
	}
	server, err := admin.Listen("127.0.0.1:0", admin.New(admin.Config{
		Node: s, Metrics: metrics.Registry(s), OperatorCertificates: c.Operator.Certificates, Callers: callers, TLS: settings, Log: logger,
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown(ctx)
	url := "https://localhost:" + server.Addr()[strings.LastIndex(server.Addr(), ":")+1:]
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)

	for _, tt := range []struct {
		name                      string
		shows                     *tls.Certificate
		key                       string
		health, operator, publish int // statuses; 0: there is no connection
	}{
		{"good, a caller", new(ours.client("shop.internal", time.Time{})), "", 200, 401, 200},
		{"good, an operator", new(ours.client("ops", time.Time{})), "", 200, 200, 401},
		{"good, of nobody", new(ours.client("other", time.Time{})), "", 200, 401, 401},
		{"absent", nil, "", 200, 401, 401},
		{"absent, with a key", nil, callerKey, 200, 401, 200},
		{"a caller by certificate has no key", new(ours.client("other", time.Time{})), "shop.internal", 200, 401, 401},
		{"foreign", new(foreign.client("shop.internal", time.Time{})), "", 0, 0, 0},
		{"expired", new(ours.client("shop.internal", time.Now().Add(-time.Hour))), "", 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own := &tls.Config{RootCAs: roots}
			if tt.shows != nil { // also where the server did not ask for this authority
				own.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tt.shows, nil }
			}
			transport := &http.Transport{TLSClientConfig: own}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			if got := getStatus(ctx, client, url+"/healthz"); got != tt.health {
				t.Errorf("/healthz: %d, want %d", got, tt.health)
			}
			if got := getStatus(ctx, client, url+"/metrics"); got != tt.operator {
				t.Errorf("/metrics: %d, want %d", got, tt.operator)
			}
			_, err := (&api.Client{URL: url, Key: tt.key, HTTP: client}).Publish(ctx, "", api.Publish{Topic: "t", User: "u", Data: []byte("1")})
			if got := statusIn(err); got != tt.publish {
				t.Errorf("publish: %d (%v), want %d", got, err, tt.publish)
			}
		})
	}
}

func getStatus(ctx context.Context, client *http.Client, url string) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return -1
	}
	response, err := client.Do(r)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// statusIn is that of what a call returned; 0: there was no answer.
func statusIn(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if p, ok := errors.AsType[*api.Problem](err); ok {
		return p.Status
	}
	return 0
}
