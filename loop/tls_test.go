package loop

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"testing"
)

// pour sends want over peer and returns what comes back until its end.
func pour(t *testing.T, peer *tls.Conn, want []byte) []byte {
	t.Helper()
	go func() {
		_, _ = peer.Write(want)
		_ = peer.CloseWrite()
	}()
	return readAll(t, peer)
}

func TestEncryptedBytesComeBackInOrder(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{Loops: 2})
		s := newEcho()
		peer := serveTLS(t, g, nil, s, server, client)
		want := make([]byte, 16<<20)
		_, _ = rand.Read(want)
		if got := pour(t, peer, want); !bytes.Equal(got, want) {
			t.Errorf("got %d bytes back that differ from the %d sent", len(got), len(want))
		}
		if err := receive(t, s.closed); err != nil {
			t.Error(err)
		}
		s.checkOrder(t)
	})
}

// Both ends are connections of loops.
func TestTLSClientOnALoopTalksToATLSServerOnALoop(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{Loops: 2})
		ln := listen(t, g, nil, func(*Loop) Handler {
			s := newEcho()
			secure(s, asServer(server))
			return s
		})
		want := make([]byte, 16<<20)
		_, _ = rand.Read(want)
		var got bytes.Buffer
		all := make(chan struct{})
		c := newScripted()
		c.onOpen = func(c *scripted) { _ = c.Write(nil, want) }
		c.onData = func(c *scripted, b []byte) {
			if got.Write(b); got.Len() >= len(want) {
				close(all)
			}
		}
		secure(c, asClient(client))
		if err := g.Dial(ln.Addr(), c, DialConfig{}); err != nil {
			t.Fatal(err)
		}
		receive(t, all)
		if !bytes.Equal(got.Bytes(), want) {
			t.Error("what came back is not what was sent")
		}
		if state := c.TLS(); state == nil || state.ServerName != "server.test" {
			t.Errorf("the state of the connection is %+v", state)
		}
		c.Close(CloseFlushed)
		if err := receive(t, c.closed); err != nil {
			t.Error(err)
		}
		c.checkOrder(t)
	})
}
