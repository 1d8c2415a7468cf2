package loop

import (
	"crypto/tls"
	"testing"
	"time"
)

// The clock of a record starts when the record does, and anew with progress.
func TestTheClockOfARecordThatArrives(t *testing.T) {
	var a arrival
	for i, s := range []struct {
		n     int
		anew  bool
		since int // the step in which the clock started
	}{
		{100, true, 0},   // begun
		{1000, false, 0}, // less than MinProgress
		{1124, false, 2},
		{2000, false, 2},
		{1500, true, 4}, // another record
		{1600, false, 4},
		{0, true, 6}, // whole
		{10, false, 7},
		{5000, true, 8}, // begun behind a whole one
		{5000, false, 8},
	} {
		a.left(s.n, s.anew, time.Duration(i))
		if a.moved != time.Duration(s.since) {
			t.Errorf("after step %d the clock started in step %d, want %d", i, a.moved, s.since)
		}
	}
}

// A part of a record is seen, and forgotten when the rest has come.
func TestAPartOfARecordIsSeen(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	g := start(t, Config{})
	s := newEcho()
	handshakeOver := secure(s, asServer(server))
	wire := &inPieces{Conn: serveOne(t, g, nil, s), cut: func(n int) int { return n }}
	peer := tls.Client(wire, client)
	roundTrip(t, peer, "first")
	receive(t, handshakeOver)
	unopened := func() (some bool) {
		onLoop(t, s.loop, func() { _, some = s.Unopened() })
		return some
	}
	if unopened() {
		t.Error("a part of a record is seen where there is none")
	}
	wire.cut = func(int) int { return 0 }
	_, _ = peer.Write([]byte("second"))
	var before uint64 // what Loop.Counters returns may be that of the iteration before
	onLoop(t, s.loop, func() { before = s.loop.counters.BytesIn })
	if _, err := wire.Conn.Write(wire.buf[:10]); err != nil {
		t.Fatal(err)
	}
	wire.buf = wire.buf[10:]
	eventually(t, "a part is seen", unopened)
	onLoop(t, s.loop, func() {
		if _, ok := s.Heard(); !ok || s.loop.counters.BytesIn != before+10 {
			t.Errorf("heard %t, %d bytes", ok, s.loop.counters.BytesIn-before)
		}
	})
	wire.cut = func(n int) int { return n }
	if _, err := wire.Write(nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is forgotten", func() bool { return !unopened() })
	s.Close(CloseNow)
	receive(t, s.closed)
}
