package bench

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/bench/load"
)

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	c, resp, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func wantMessage(t *testing.T, c *websocket.Conn, kind int, p []byte) {
	t.Helper()
	gotKind, got, err := c.ReadMessage()
	if err != nil || gotKind != kind || !bytes.Equal(got, p) {
		t.Fatalf("got kind %d with %d bytes, error %v, want kind %d with %d bytes", gotKind, len(got), err, kind, len(p))
	}
}

func write(t *testing.T, c *websocket.Conn, kind int, p []byte) {
	t.Helper()
	if err := c.WriteMessage(kind, p); err != nil {
		t.Fatal(err)
	}
}

func TestServerEchoesAtAnyPath(t *testing.T) {
	addr := startServer(t)
	for _, path := range []string{"/", "/any/path?x=1"} {
		c := dial(t, "ws://"+addr+path)
		for _, p := range [][]byte{{}, []byte("text"), bytes.Repeat([]byte("x"), 3<<20)} {
			for _, kind := range []int{websocket.TextMessage, websocket.BinaryMessage} {
				write(t, c, kind, p)
				wantMessage(t, c, kind, p)
			}
		}
	}
}

func TestServerSpeaksTLSAndCompresses(t *testing.T) {
	addr := startServerWith(t, Options{TLS: true, Compression: load.Deflate})
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, EnableCompression: true}
	c, resp, err := dialer.Dial("wss://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		t.Errorf("the server agrees to %q", got)
	}
	text := bytes.Repeat([]byte("text "), 1000)
	write(t, c, websocket.TextMessage, text)
	wantMessage(t, c, websocket.TextMessage, text)
}

func TestUnknownCompressionIsRefused(t *testing.T) {
	var config *load.ConfigError
	if _, err := NewServer(Options{Compression: "brotli"}); !errors.As(err, &config) {
		t.Errorf("error %v", err)
	}
}

// A client that is told to trust the certificate connects to its hosts, and to
// no other.
func TestSelfSignedIsForItsHosts(t *testing.T) {
	certificate, err := SelfSigned("localhost", "127.0.0.1", "::1")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(leaf)
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: trusted}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "example.com", Roots: trusted}); err == nil {
		t.Error("it holds for example.com")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: x509.NewCertPool()}); err == nil {
		t.Error("it is trusted by who was not told to")
	}
}

func TestServerPublishesToEverybodyInOrder(t *testing.T) {
	addr := startServer(t)
	var all []*websocket.Conn
	for range 5 {
		all = append(all, dial(t, "ws://"+addr+"/"))
	}
	for n := range byte(100) {
		write(t, all[0], websocket.BinaryMessage, []byte{'B', n})
	}
	for _, c := range all {
		for n := range byte(100) {
			wantMessage(t, c, websocket.BinaryMessage, []byte{'B', n})
		}
	}
}

func TestServerGoesOnAfterAPublisherLeaves(t *testing.T) {
	addr := startServer(t)
	stays, leaves := dial(t, "ws://"+addr+"/"), dial(t, "ws://"+addr+"/")
	write(t, leaves, websocket.TextMessage, []byte("B1"))
	wantMessage(t, leaves, websocket.TextMessage, []byte("B1"))
	leaves.Close()
	write(t, stays, websocket.TextMessage, []byte("B2"))
	wantMessage(t, stays, websocket.TextMessage, []byte("B1"))
	wantMessage(t, stays, websocket.TextMessage, []byte("B2"))
}

// An echo that finds the queue full is held, and comes when there is room.
func TestServerEchoesToAClientThatReadsLate(t *testing.T) {
	c := dial(t, "ws://"+startServer(t)+"/")
	const messages, size = 30, 1 << 20
	sent := make(chan error, 1)
	go func() {
		for n := range byte(messages) {
			if err := c.WriteMessage(websocket.BinaryMessage, bytes.Repeat([]byte{n}, size)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for n := range byte(messages) {
		wantMessage(t, c, websocket.BinaryMessage, bytes.Repeat([]byte{n}, size))
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}
