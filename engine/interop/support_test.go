package interop

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// patience bounds every wait of a test, so that what never comes is a failure
// and not a hang. No test depends on how long it is.
const patience = 30 * time.Second

// listen starts srv on a free port of 127.0.0.1, ends it with the test, and
// returns host:port.
func listen(t testing.TB, srv *engine.Server) string {
	t.Helper()
	return listenWith(t, srv, "127.0.0.1:0", engine.ListenOptions{})
}

// listenTLS is listen over TLS, as id.
func listenTLS(t testing.TB, srv *engine.Server, id *identity) string {
	t.Helper()
	return listenWith(t, srv, "127.0.0.1:0", engine.ListenOptions{TLS: id.server()})
}

// listenWith is listen with options, on any address.
func listenWith(t testing.TB, srv *engine.Server, addr string, opt engine.ListenOptions) string {
	t.Helper()
	if srv.Logger == nil {
		srv.Logger = slog.New(slog.DiscardHandler)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error("closing the server:", err)
		}
	})
	got, err := srv.ListenWith(addr, opt)
	if err != nil {
		t.Fatal(err)
	}
	return got.String()
}

// echo are callbacks that send every message back.
var echo = engine.Callbacks{
	OnText:   func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) },
	OnBinary: func(ws *engine.WebSocket, data []byte) { _ = ws.Send(engine.Binary, data) },
}

// within returns what comes from ch, and fails the test if nothing does.
func within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// eventually waits until cond holds, for states that no channel announces.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not reached", what)
		}
	}
}

// pattern is n bytes that do not repeat with a power of two.
func pattern(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxy"), n/35+1)[:n]
}

// socketPath is a path that is short enough for a unix socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fanloop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "ws.sock")
}

// page is what an http.Handler of a test serves.
func page(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %q", r.Method, r.URL.Path, body)
}

// upgradeHead is the head of a valid opening handshake for addr.
func upgradeHead(addr string) string {
	return "GET /chat HTTP/1.1\r\nHost: " + addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
}

// acceptKey answers the key of upgradeHead (RFC 6455 section 1.3).
const acceptKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

// masked is one masked frame of a whole message or control frame.
func masked(op engine.OpCode, payload string) string {
	return string(codec.AppendMaskedFrame(nil, op, true, []byte(payload)))
}

// fromServer is one frame of a whole message or control frame, as a server sends it.
func fromServer(op engine.OpCode, payload string) string {
	return string(codec.AppendFrame(nil, op, true, []byte(payload)))
}

// wantGreeting reads the answer to upgradeHead and one text message.
func wantGreeting(t *testing.T, r io.Reader, text string) {
	t.Helper()
	br := bufio.NewReader(r)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); resp.StatusCode != http.StatusSwitchingProtocols || got != acceptKey {
		t.Fatalf("status %d, Sec-WebSocket-Accept %q; want 101 and %q", resp.StatusCode, got, acceptKey)
	}
	h, err := gobwas.ReadHeader(br)
	if want := int64(len(text)); err != nil || h.OpCode != gobwas.OpText || !h.Fin || h.Length != want {
		t.Fatalf("got the header %+v (%v), want a text of %d bytes", h, err, want)
	}
	got := make([]byte, h.Length)
	if _, err := io.ReadFull(br, got); err != nil || string(got) != text {
		t.Fatalf("got %q (%v), want %q", got, err, text)
	}
}

// testName is what the certificates of tests are for.
const testName = "fanloop.test"

// tlsVersions are those that a server speaks.
var tlsVersions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

// identity is a certificate that signed itself, and who trusts it.
type identity struct {
	cert    tls.Certificate
	pool    *x509.CertPool
	certPEM []byte
	keyPEM  []byte
}

// newIdentity makes a certificate for testName whose subject has this name.
func newIdentity(t testing.TB, name string) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{testName},
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
	id := &identity{
		pool:    x509.NewCertPool(),
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
	if id.cert, err = tls.X509KeyPair(id.certPEM, id.keyPEM); err != nil {
		t.Fatal(err)
	}
	id.pool.AddCert(id.cert.Leaf)
	return id
}

// server is the configuration of a server that is id.
func (id *identity) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{id.cert}}
}

// client is the configuration of a client that trusts id.
func (id *identity) client() *tls.Config {
	return &tls.Config{RootCAs: id.pool, ServerName: testName}
}

// lockedBuffer collects what a process writes while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
