package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// patience bounds every wait of a test, so that what never comes is a failure
// and not a hang. No test depends on how long it is.
const patience = 30 * time.Second

// listen starts srv on a free port of 127.0.0.1, ends it with the test, and
// returns host:port. Without a Logger, srv logs to nowhere.
func listen(t testing.TB, srv *engine.Server) string {
	t.Helper()
	if srv.Logger == nil {
		srv.Logger = slog.New(slog.DiscardHandler)
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error("closing the server:", err)
		}
	})
	return addr.String()
}

// listenWith starts srv with options on a free port of 127.0.0.1, or on a unix
// address, and ends it with the test.
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

// rawClient is a client that writes and reads octets as it is told.
type rawClient struct {
	net.Conn
	t          testing.TB
	br         *bufio.Reader
	extensions string // that were agreed
}

// dialRaw connects to addr and closes the connection with the test.
func dialRaw(t testing.TB, addr string) *rawClient {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return newRawClient(t, nc)
}

// dialUnix is dialRaw for a unix socket.
func dialUnix(t testing.TB, path string) *rawClient {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return newRawClient(t, nc)
}

// secured finishes a TLS handshake with a server over c. What the server sends
// after the handshake comes when it is read.
func (c *rawClient) secured(config *tls.Config) *rawClient {
	c.t.Helper()
	tc := tls.Client(c.Conn, config)
	if err := tc.Handshake(); err != nil {
		c.t.Fatal("the TLS handshake:", err)
	}
	return newRawClient(c.t, tc)
}

// testName is what the certificates of tests are for.
const testName = "fanloop.test"

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

// tlsVersions are those that a server speaks.
var tlsVersions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

func newRawClient(t testing.TB, nc net.Conn) *rawClient {
	_ = nc.SetDeadline(time.Now().Add(patience))
	return &rawClient{Conn: nc, t: t, br: bufio.NewReader(patientReader{nc})}
}

// patientReader has patience with each read, however long the test is.
type patientReader struct{ net.Conn }

func (r patientReader) Read(p []byte) (int, error) {
	_ = r.SetReadDeadline(time.Now().Add(patience))
	return r.Conn.Read(p)
}

// upgradeHead is the head of a valid opening handshake for addr, with further
// header lines.
func upgradeHead(addr string, lines ...string) string {
	return "GET /chat HTTP/1.1\r\nHost: " + addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
		strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

// acceptKey answers the key of upgradeHead (RFC 6455 section 1.3).
const acceptKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

// openRaw connects to addr and finishes the opening handshake.
func openRaw(t testing.TB, addr string, lines ...string) *rawClient {
	t.Helper()
	c := dialRaw(t, addr)
	c.send(upgradeHead(addr, lines...))
	c.wantUpgraded()
	return c
}

// send writes octets.
func (c *rawClient) send(octets string) {
	c.t.Helper()
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.Conn, octets); err != nil {
		c.t.Fatal("write:", err)
	}
}

// sendFrame writes one masked frame.
func (c *rawClient) sendFrame(op engine.OpCode, fin bool, payload []byte) {
	c.t.Helper()
	c.send(string(codec.AppendMaskedFrame(nil, op, fin, payload)))
}

// masked is one masked frame of a whole message or control frame.
func masked(op engine.OpCode, payload string) string {
	return string(codec.AppendMaskedFrame(nil, op, true, []byte(payload)))
}

// readResponse reads the head and body of an HTTP answer.
func (c *rawClient) readResponse() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Fatal("reading the HTTP answer:", err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, ""
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal("reading the body of the HTTP answer:", err)
	}
	return resp, string(body)
}

// wantUpgraded reads the answer 101.
func (c *rawClient) wantUpgraded() *http.Response {
	c.t.Helper()
	resp, body := c.readResponse()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		c.t.Fatalf("status %d (%q), want 101", resp.StatusCode, body)
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != acceptKey {
		c.t.Fatalf("Sec-WebSocket-Accept %q, want %q", got, acceptKey)
	}
	c.extensions = strings.Join(resp.Header.Values("Sec-WebSocket-Extensions"), " | ")
	return resp
}

// wantRefused reads an HTTP answer with this status, after which the server
// ends the connection.
func (c *rawClient) wantRefused(status int) (*http.Response, string) {
	c.t.Helper()
	resp, body := c.readResponse()
	if resp.StatusCode != status {
		c.t.Fatalf("status %d (%q), want %d", resp.StatusCode, body, status)
	}
	c.wantEOF()
	return resp, body
}

// readFrame reads one frame of the server.
func (c *rawClient) readFrame() (codec.Header, []byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.br, head[:2]); err != nil {
		return codec.Header{}, nil, err
	}
	raw := head[:2:2]
	more := map[byte]int{126: 2, 127: 8}[head[1]&0x7F]
	raw = append(raw, make([]byte, more)...)
	if _, err := io.ReadFull(c.br, raw[2:]); err != nil {
		return codec.Header{}, nil, err
	}
	if head[1]&0x80 != 0 {
		return codec.Header{}, nil, errors.New("the server masked a frame")
	}
	h, _, err := codec.ParseHeader(raw)
	if err != nil {
		return h, nil, err
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(c.br, payload)
	return h, payload, err
}

// wantFrame reads a frame and compares it.
func (c *rawClient) wantFrame(op engine.OpCode, fin bool, payload string) {
	c.t.Helper()
	h, got, err := c.readFrame()
	if err != nil {
		c.t.Fatalf("waiting for %v %.40q: %v", op, payload, err)
	}
	if h.OpCode != op || h.Fin != fin || string(got) != payload {
		c.t.Fatalf("got %v fin=%v %.80q, want %v fin=%v %.80q", h.OpCode, h.Fin, got, op, fin, payload)
	}
}

// wantMessage reads a message of one frame.
func (c *rawClient) wantMessage(op engine.OpCode, payload string) {
	c.t.Helper()
	c.wantFrame(op, true, payload)
}

// readClose skips other frames up to the close frame.
func (c *rawClient) readClose() (engine.StatusCode, string) {
	c.t.Helper()
	for {
		h, payload, err := c.readFrame()
		if err != nil {
			c.t.Fatal("waiting for a close frame:", err)
		}
		if h.OpCode != codec.Close {
			continue
		}
		if len(payload) == 0 {
			return engine.StatusNoStatusRcvd, ""
		}
		if len(payload) < 2 {
			c.t.Fatalf("close frame with a payload of %d byte", len(payload))
		}
		return engine.StatusCode(binary.BigEndian.Uint16(payload)), string(payload[2:])
	}
}

// wantClose reads up to the close frame, compares its code, and wants nothing
// behind it but the end of the stream.
func (c *rawClient) wantClose(code engine.StatusCode) (reason string) {
	c.t.Helper()
	got, reason := c.readClose()
	if got != code {
		c.t.Fatalf("close code %d (%q), want %d", uint16(got), reason, uint16(code))
	}
	c.wantEOF()
	return reason
}

// wantEOF wants nothing more but the orderly end of the stream.
func (c *rawClient) wantEOF() {
	c.t.Helper()
	rest, err := io.ReadAll(c.br)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("at the end: %q, %v; want nothing and EOF", rest, err)
	}
}

// wantGone wants the end of the stream, by a reset or not, and ignores what
// comes before.
func (c *rawClient) wantGone() {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c.br)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatal("the server did not end the connection")
	}
}

// offering is the header line that offers an extension.
func offering(extension string) string { return "Sec-WebSocket-Extensions: " + extension }

// deflateClient is a rawClient that compresses as was agreed.
type deflateClient struct {
	*rawClient
	inflater       *codec.Inflater
	deflater       *codec.Deflater
	sent, received *codec.Window // nil without context takeover
}

// newDeflateClient makes a client of a connection that is open.
func newDeflateClient(c *rawClient) *deflateClient {
	p, agreed := &deflateClient{rawClient: c}, c.extensions
	if agreed == "" {
		return p
	}
	bits := func(parameter string) int {
		_, value, _ := strings.Cut(agreed, parameter+"=")
		n := codec.MaxWindowBits
		_, _ = fmt.Sscan(value, &n)
		return n
	}
	p.inflater, p.deflater = codec.NewInflater(), codec.NewDeflater(bits("client_max_window_bits"))
	if !strings.Contains(agreed, "client_no_context_takeover") {
		p.sent = codec.NewWindow(bits("client_max_window_bits"))
	}
	if !strings.Contains(agreed, "server_no_context_takeover") {
		p.received = codec.NewWindow(bits("server_max_window_bits"))
	}
	return p
}

// sendMessage sends a message in one frame, compressed if that was agreed.
func (p *deflateClient) sendMessage(op engine.OpCode, payload string) {
	p.t.Helper()
	if p.deflater == nil {
		p.sendFrame(op, true, []byte(payload))
		return
	}
	packed := p.deflater.AppendMessage(nil, []byte(payload), p.sent)
	p.send(string(codec.AppendMaskedCompressedFrame(nil, op, true, packed)))
}

// readMessage reads a message in one frame, compressed or not. Inflating it is
// limited to 16 MiB.
func (p *deflateClient) readMessage() (codec.Header, []byte, error) {
	h, payload, err := p.readFrame()
	if err != nil || !h.Rsv1 {
		return h, payload, err
	}
	if p.inflater == nil {
		return h, nil, errors.New("RSV1 is set and nothing was agreed")
	}
	whole, err := p.inflater.Inflate(payload, p.received, codec.InflateLimit{MaxMessage: 16 << 20, MaxRatio: -1})
	return h, bytes.Clone(whole), err
}

// wantMessage reads a message in one frame, compressed or not.
func (p *deflateClient) wantMessage(op engine.OpCode, payload string) {
	p.t.Helper()
	h, got, err := p.readMessage()
	if err != nil || h.OpCode != op || string(got) != payload {
		p.t.Fatalf("got %v %.80q, %v; want %v %.80q", h.OpCode, got, err, op, payload)
	}
}

// deflated is text as the payload of a compressed message.
func deflated(text string) []byte {
	return codec.NewDeflater(codec.MaxWindowBits).AppendMessage(nil, []byte(text), nil)
}

// noise is n bytes that do not shrink.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return string(b)
}

// dialGorilla opens a WebSocket with another implementation.
func dialGorilla(t testing.TB, addr string, header http.Header) *websocket.Conn {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.Dial("ws://"+addr+"/chat", header)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return conn
}

// dialEngine opens a WebSocket with Dial and drops it with the test.
func dialEngine(t testing.TB, addr string, opt *engine.DialOptions) *engine.WebSocket {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, err := engine.Dial(ctx, "ws://"+addr+"/chat", opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ws.CloseNow()
		within(t, "the end of a dialed connection", ws.Done())
	})
	return ws
}

// logBook keeps what was logged.
type logBook struct {
	mu      sync.Mutex
	records []slog.Record
}

// newLog returns a logger that writes into the book.
func newLog() (*slog.Logger, *logBook) {
	b := new(logBook)
	return slog.New(b), b
}

// Enabled implements slog.Handler.
func (b *logBook) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (b *logBook) Handle(_ context.Context, r slog.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, r)
	return nil
}

// WithAttrs implements slog.Handler.
func (b *logBook) WithAttrs([]slog.Attr) slog.Handler { return b }

// WithGroup implements slog.Handler.
func (b *logBook) WithGroup(string) slog.Handler { return b }

// loopIsHeldUp is what is logged when a loop gives no sign of life for a second,
// which on a busy machine says nothing about the code.
const loopIsHeldUp = "a callback blocks its loop"

// count is how many records have this text in their message.
func (b *logBook) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, r := range b.records {
		if strings.Contains(r.Message, text) {
			n++
		}
	}
	return n
}

// liveHeap is the number of bytes and objects that are in use after a
// collection.
func liveHeap() (size, objects uint64) {
	runtime.GC()
	runtime.GC() // what sync.Pool kept through the first one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.HeapObjects
}

// allocated is the number of bytes and objects ever allocated.
func allocated() (size, objects uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc, m.Mallocs
}

// pattern is n bytes that do not repeat with a power of two.
func pattern(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxy"), n/35+1)[:n]
}
