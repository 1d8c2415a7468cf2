//go:build !race && !portable

package engine_test

import (
	"bytes"
	"math"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// plainClient opens WebSockets by system calls alone, so that what is allocated is the
// server's.
type plainClient struct {
	addr syscall.SockaddrInet4
	head []byte
	buf  [1024]byte
}

func newPlainClient(t testing.TB, addr string) *plainClient {
	t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	return &plainClient{
		addr: syscall.SockaddrInet4{Addr: [4]byte(tcp.IP.To4()), Port: tcp.Port},
		head: []byte("GET /?topic=x HTTP/1.1\r\nHost: " + addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"),
	}
}

// visit opens a WebSocket and leaves without a close frame.
func (c *plainClient) visit(t testing.TB) { _ = syscall.Close(c.open(t)) }

// open opens a WebSocket and returns its socket.
func (c *plainClient) open(t testing.TB) int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	}
	if err == nil {
		err = syscall.Connect(fd, &c.addr)
	}
	if err == nil {
		_, err = syscall.Write(fd, c.head)
	}
	n := 0
	if err == nil {
		n, err = syscall.Read(fd, c.buf[:])
	}
	if err != nil || !bytes.HasPrefix(c.buf[:n], []byte("HTTP/1.1 101 ")) {
		t.Fatalf("the handshake was answered with %q, %v", c.buf[:n], err)
	}
	return fd
}

// stay opens a WebSocket that ends with the test.
func (c *plainClient) stay(t testing.TB) {
	fd := c.open(t)
	t.Cleanup(func() { _ = syscall.Close(fd) })
}

// What a connection allocates from its first byte to its end decides how often the garbage
// collector runs on a server whose clients come and go.
func TestAConnectionAllocatesFewObjects(t *testing.T) {
	for name, c := range map[string]struct {
		server *engine.Server
		most   float64
	}{
		"that does nothing":              {&engine.Server{Loops: 1}, 3},
		"that subscribes, and is tagged": {&engine.Server{Loops: 1, OnUpgrade: tagged}, 8},
	} {
		client := newPlainClient(t, listen(t, c.server))
		client.stay(t) // so that topics do
		visit := func() {
			client.visit(t)
			for end := time.Now().Add(patience); c.server.Conns() > 1 && time.Now().Before(end); { // two at once need two of everything
				time.Sleep(20 * time.Microsecond)
			}
		}
		least := math.MaxFloat64
		for range 10 { // what other tests have left running allocates too
			least = min(least, testing.AllocsPerRun(200, visit))
		}
		if least > c.most {
			t.Errorf("a connection %s allocates %v objects, want at most %v", name, least, c.most)
		} else {
			t.Logf("a connection %s allocates %v objects", name, least)
		}
	}
}

// tagged is an OnUpgrade of a usual program.
func tagged(ws *engine.WebSocket, _ *engine.Request) {
	engine.Set(ws, new(int))
	_ = ws.Subscribe("news")
}

func BenchmarkConnection(b *testing.B) {
	for name, srv := range map[string]*engine.Server{"bare": {Loops: 1}, "tagged": {Loops: 1, OnUpgrade: tagged}} {
		b.Run(name, func(b *testing.B) {
			client := newPlainClient(b, listen(b, srv))
			client.stay(b)
			b.ReportAllocs()
			for b.Loop() {
				client.visit(b)
			}
		})
	}
}
