package loop

import (
	"bytes"
	"crypto/rand"
	"testing"
)

func TestEveryByteComesBackInOrder(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		nc := connectTo(t, listenEcho(t, start(t, Config{Loops: 2, Backend: b})))
		want := make([]byte, 4<<20)
		_, _ = rand.Read(want)
		go func() {
			_, _ = nc.Write(want)
			_ = nc.CloseWrite()
		}()
		if got := readAll(t, nc); !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes back that differ from the %d sent", len(got), len(want))
		}
	})
}
