package loop

import (
	"io"
	"testing"
)

// A pause changes what the descriptor waits for while the loop's cork holds what
// the event wrote: neither may the cork stay behind, nor its bytes reach the
// next connection that is corked.
func TestPauseAfterAWriteLeavesTheCorkToTheNext(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		first := newScripted()
		first.onData = func(s *scripted, _ []byte) {
			_ = s.Write(nil, []byte("first"))
			s.PauseRead()
		}
		peer := serveOne(t, g, nil, first)
		other := connectTo(t, listenEcho(t, g))
		for range 10 {
			if _, err := peer.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			roundTrip(t, other, "other")
			got := make([]byte, len("first"))
			if _, err := io.ReadFull(peer, got); err != nil || string(got) != "first" {
				t.Fatalf("got %q, %v", got, err)
			}
			first.ResumeRead()
		}
	})
}
