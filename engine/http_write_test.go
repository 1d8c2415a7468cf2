package engine

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/handshake"
)

// countedSocket counts the bytes of files that the socket is given to send by itself,
// which on Linux is sendfile.
type countedSocket struct {
	*net.TCPConn
	files *atomic.Int64
}

// ReadFrom implements io.ReaderFrom.
func (c countedSocket) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			c.files.Add(n)
		}
	}
	return n, err
}

// A file goes from a handler of Server.HTTP to the socket itself, also when the
// net/http server is configured.
func TestFilesGoToTheSocketItself(t *testing.T) {
	const size, sniffed = 1 << 20, 512
	name := filepath.Join(t.TempDir(), "file.bin")
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := &Server{
		HTTP:          http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) }),
		ConfigureHTTP: func(srv *http.Server) { srv.WriteTimeout = time.Minute },
	}
	if err := srv.started(); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	client, socket := tcpPair(t)
	files := new(atomic.Int64)
	c := newWebConn(srv, countedSocket{socket, files}, nil)
	head := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	req, err := handshake.ParseRequest(head)
	if err != nil {
		t.Fatal(err)
	}
	c.in.Write(head)
	c.begin(req, len(head))
	srv.conns.Enter(NoLimit, 0)
	srv.web.serve(c)
	_ = client.SetDeadline(time.Now().Add(30 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Fatalf("%d bytes came, %v", n, err)
	}
	for end := time.Now().Add(30 * time.Second); files.Load() < size-sniffed; time.Sleep(time.Millisecond) {
		if time.Now().After(end) { // the last piece is counted after it was sent
			t.Fatalf("%d bytes of %d went to the socket as a file", files.Load(), size)
		}
	}
}

// tcpPair is a connection over loopback.
func tcpPair(t *testing.T) (client net.Conn, server *net.TCPConn) {
	t.Helper()
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	if client, err = net.Dial("tcp", nl.Addr().String()); err != nil {
		t.Fatal(err)
	}
	nc, err := nl.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = nc.Close() })
	return client, nc.(*net.TCPConn)
}
