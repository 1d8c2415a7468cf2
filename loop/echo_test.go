package loop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"testing"

	"github.com/fanloop-go/fanloop/loop"
)

// echo sends back what it receives.
type echo struct {
	loop.Conn
	closed chan error
}

func (e *echo) LoopConn() *loop.Conn { return &e.Conn }
func (e *echo) OnOpen()              {}
func (e *echo) OnData(b []byte)      { _ = e.Write(nil, b) }
func (e *echo) OnEOF()               { e.Close(loop.CloseFlushed) }
func (e *echo) OnNotify()            {}
func (e *echo) OnTimer()             {}
func (e *echo) OnDrain()             {}
func (e *echo) OnClose(err error) {
	if e.closed != nil {
		e.closed <- err
	}
}

var backends = []loop.Backend{loop.BackendDefault, loop.BackendNetpoll}

func startEcho(t *testing.T, cfg loop.Config) (*loop.Group, *loop.Listener) {
	t.Helper()
	g, err := loop.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	ln, err := g.Listen("127.0.0.1:0", loop.ListenConfig{Accept: func(*loop.Loop) loop.Handler { return &echo{} }})
	if err != nil {
		t.Fatal(err)
	}
	return g, ln
}

func TestEveryByteComesBackInOrder(t *testing.T) {
	for _, backend := range backends {
		t.Run("backend="+string(backend), func(t *testing.T) {
			_, ln := startEcho(t, loop.Config{Loops: 2, Backend: backend})
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			want := make([]byte, 4<<20)
			_, _ = rand.Read(want)
			go func() {
				_, _ = nc.Write(want)
				_ = nc.(*net.TCPConn).CloseWrite()
			}()
			got, err := io.ReadAll(nc)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("got %d bytes back that differ from the %d sent", len(got), len(want))
			}
		})
	}
}
