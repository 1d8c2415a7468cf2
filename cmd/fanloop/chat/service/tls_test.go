package service_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// certify writes a certificate for 127.0.0.1 with a number into a file, with its key.
func certify(t *testing.T, file string, number int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(number), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err1 := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	private, err2 := x509.MarshalPKCS8PrivateKey(key)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

// Clients are served by TLS with a certificate in a file: WebSockets, the page and streams.
// A new certificate is used when the file changes.
func TestClientsByTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "both.pem")
	pool := certify(t, file, 1)
	s, ctx := start(t, func(c *config.Config) { c.TLSCert, c.TLSKey = file, file })
	secure := &tls.Config{RootCAs: pool}
	ws, err := pull.Dial(ctx, "wss://"+s.Addr()+"/v1/socket", &engine.DialOptions{
		TLS: secure, Subprotocols: []string{protocol.JSON.Subprotocol()}, Origin: "https://" + s.Addr(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow(); <-ws.WebSocket().Done() })
	c := &client{t: t, ctx: ctx, ws: ws, encoding: protocol.JSON}
	c.send(&protocol.Connect{Ref: 1, Version: 1, User: "ann"})
	await[*protocol.Connected](c)

	web := &http.Client{Transport: &http.Transport{TLSClientConfig: secure}}
	t.Cleanup(web.CloseIdleConnections)
	request := func(method, path string) int {
		req, err := http.NewRequestWithContext(ctx, method, "https://"+s.Addr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://"+s.Addr())
		resp, err := web.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if page, stream := request(http.MethodGet, "/"), request(http.MethodOptions, "/v1/stream"); page != http.StatusOK || stream != http.StatusNoContent {
		t.Errorf("the page %d, a stream %d", page, stream)
	}

	certify(t, file, 2)
	for shown := int64(1); shown != 2; shown = numberOf(t, ctx, s.Addr()) {
		if ctx.Err() != nil {
			t.Fatal("the new certificate is not shown")
		}
	}
}

// numberOf is that of the certificate which a server shows.
func numberOf(t *testing.T, ctx context.Context, addr string) int64 {
	t.Helper()
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}
