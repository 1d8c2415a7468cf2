package loop

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// R-a: that a peer has gone is seen while reading is paused, however it went and
// whatever it sent before. Ends of one direction are seen on Linux only.
func TestPeerGoneIsSeenWhileReadingIsPaused(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"reset":        func(nc *net.TCPConn) { _ = nc.SetLinger(0); _ = nc.Close() },
		"end":          func(nc *net.TCPConn) { _ = nc.CloseWrite() },
		"data and end": func(nc *net.TCPConn) { _, _ = nc.Write([]byte("x")); _ = nc.Close() },
	} {
		if hangups == 0 && name != "reset" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			g := start(t, Config{})
			s := newScripted()
			s.onOpen = func(s *scripted) { s.PauseRead() }
			peer := serveOne(t, g, nil, s)
			if s.PeerGone() {
				t.Fatal("gone while it is there")
			}
			if _, err := peer.Write([]byte("more")); err != nil {
				t.Fatal(err)
			}
			if s.PeerGone() {
				t.Fatal("gone for having sent something")
			}
			leave(peer)
			eventually(t, "the peer is gone", s.PeerGone)
		})
	}
}

func TestPeerGoneOfOthers(t *testing.T) {
	g := start(t, Config{})
	s := newScripted()
	peer := unixPair(t, g, unix.SOCK_STREAM, nil, s)
	if s.PeerGone() {
		t.Error("gone while it is there")
	}
	onLoop(t, g.Loops()[0], func() { s.PauseRead() })
	_ = peer.Close()
	eventually(t, "the peer is gone", s.PeerGone)
	s.Close(CloseNow)
	receive(t, s.closed)
	if !s.PeerGone() {
		t.Error("a connection that has ended has a peer")
	}
	if newScripted().PeerGone() {
		t.Error("gone before there was one")
	}
}
