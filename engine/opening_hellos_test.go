package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// R15: thousands of clients that begin a TLS handshake and say no more are
// closed at the deadline, and memory is bounded.
func TestSilentClientHellosEndAtTheDeadline(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := startChild(t, childConfig{
		Loops: 1, Flood: true, CertPEM: id.CertPEM, KeyPEM: id.KeyPEM, HandshakeTimeout: 5 * time.Second,
	})
	friend := openTLS(t, srv.addr, id.Client())
	idle, before := srv.memory(t, friend), srv.descriptors(t)
	silent := sendHellos(t, srv.addr, id)
	answered := 0
	for _, c := range silent {
		said, err := io.ReadAll(c.br)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("a silent client is not closed")
		}
		if len(said) > 0 {
			answered++
		}
		_ = c.Close()
	}
	peak := srv.memory(t, friend)
	t.Logf("%d of %d were answered; the process grew from %d to %d KiB", answered, len(silent), idle>>10, peak>>10)
	if answered == 0 {
		t.Error("no handshake was begun")
	}
	if most := uint64(len(silent)) * 64 << 10; peak-idle > most && !raceEnabled {
		t.Errorf("the process grew by %d bytes, want at most 64 KiB for each", peak-idle)
	}
	eventually(t, "the descriptors are back", func() bool { return srv.descriptors(t) <= before })
	late := openTLS(t, srv.addr, id.Client())
	late.exchange("after it")
	if lines := srv.logLines(); lines > 10 {
		t.Errorf("%d lines were logged:\n%.2000s", lines, srv.log)
	}
}

// R15: others are served while handshakes wait, not only when they have ended:
// those that have upgraded, and those that come now.
func TestSilentClientHellosHoldNobodyUp(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := startChild(t, childConfig{Loops: 1, CertPEM: id.CertPEM, KeyPEM: id.KeyPEM, MaxHandshakes: 200})
	friend := openTLS(t, srv.addr, id.Client())
	sendHellos(t, srv.addr, id)
	for i := range 20 {
		openTLS(t, srv.addr, id.Client()).exchange(fmt.Sprint("here now ", i))
		friend.exchange(fmt.Sprint("still here ", i))
	}
}

// F-b, U02: thousands of clients that send a part of their ClientHello hold no
// handshake up, and are not closed for others.
func TestHalfClientHellosHoldNobodyUp(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := startChild(t, childConfig{Loops: 1, CertPEM: id.CertPEM, KeyPEM: id.KeyPEM})
	before, hello := srv.descriptors(t), clientHello(t, id)
	half := make([]*rawClient, 1100) // more than handshakes may run at a time
	if longTests {
		half = make([]*rawClient, 8000)
	}
	for i := range half {
		half[i] = dialRaw(t, srv.addr)
		half[i].send(hello[:1+i%(len(hello)-1)])
	}
	eventually(t, "all are connected", func() bool { return srv.descriptors(t) >= before+len(half) })
	for i := range 20 {
		openTLS(t, srv.addr, id.Client()).exchange(fmt.Sprint("here now ", i))
	}
	if n := srv.descriptors(t); n < before+len(half)+20 {
		t.Errorf("%d descriptors are open, want %d", n, before+len(half)+20)
	}
}

// sendHellos begins many TLS handshakes that do not go on.
func sendHellos(t *testing.T, addr string, id *testkit.Identity) []*rawClient {
	t.Helper()
	silent := make([]*rawClient, 1000)
	if longTests {
		silent = make([]*rawClient, 5000)
	}
	hello := clientHello(t, id)
	for i := range silent {
		silent[i] = dialRaw(t, addr)
		silent[i].send(hello)
	}
	return silent
}

// memory is the most that the process of c, which floods, ever had resident.
func (c *child) memory(t *testing.T, over *rawClient) (peak uint64) {
	t.Helper()
	over.send(testkit.Masked(engine.Text, "memory?"))
	_, report, err := over.readFrame()
	if err != nil {
		t.Fatal(err)
	}
	var shed, heap uint64
	if _, err := fmt.Sscan(string(report), &shed, &heap, &peak); err != nil {
		t.Fatalf("%q: %v", report, err)
	}
	return peak
}

// R15: clients that say nothing at all cost no handshake, so they cannot keep
// those out who do.
func TestSilentConnectionsTakeNoPlaceOfAHandshake(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	addr := listenTLS(t, &engine.Server{Callbacks: echo, Limits: engine.Limits{HandshakeTimeout: time.Hour}}, id)
	for range 1100 { // more than handshakes may run at a time
		dialRaw(t, addr)
	}
	openTLS(t, addr, id.Client()).exchange("hello")
}

// F-b: the number of places is an option, and who loses one is counted.
func TestClientsDroppedInTheTLSHandshakeAreCounted(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{Callbacks: echo, MaxHandshakes: 1, Limits: engine.Limits{HandshakeTimeout: time.Hour}}
	addr := listenTLS(t, srv, id)
	silent := dialRaw(t, addr)
	silent.send(clientHello(t, id))
	if _, err := silent.br.ReadByte(); err != nil { // it has the place
		t.Fatal(err)
	}
	openTLS(t, addr, id.Client()).exchange("hello")
	_, _ = io.Copy(io.Discard, silent.br)
	if n := srv.Stats().ClosedTLS; n != 1 {
		t.Errorf("%d are counted", n)
	}
}
