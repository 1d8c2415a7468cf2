package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// R15: thousands of clients that begin a TLS handshake and say no more are
// closed at the deadline. Others are served meanwhile, and memory is bounded.
func TestSilentClientHellosHoldNobodyUp(t *testing.T) {
	silent := 1000
	if longTests {
		silent = 5000
	}
	id := newIdentity(t, "server")
	srv := startChild(t, childConfig{
		Loops: 1, Flood: true, CertPEM: id.certPEM, KeyPEM: id.keyPEM, HandshakeTimeout: 3 * time.Second,
	})
	friend := openTLS(t, srv.addr, id.client())
	idle, before := srv.memory(t, friend), srv.descriptors(t)
	stop := make(chan struct{})
	echoes := echoUntil(friend, stop)
	hello := clientHello(t, id)
	conns := make([]*rawClient, silent)
	for i := range conns {
		conns[i] = dialRaw(t, srv.addr)
		conns[i].send(hello)
	}
	answered := 0
	for _, c := range conns {
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
	close(stop)
	if n := within(t, "the number of echoes", echoes); n < 100 {
		t.Errorf("%d echoes beside %d handshakes, want at least 100", n, silent)
	}
	peak := srv.memory(t, friend)
	t.Logf("%d of %d were answered; the process grew from %d to %d KiB", answered, silent, idle>>10, peak>>10)
	if answered == 0 {
		t.Error("no handshake was begun")
	}
	if most := uint64(silent) * 64 << 10; peak-idle > most && !raceEnabled {
		t.Errorf("the process grew by %d bytes, want at most 64 KiB for each", peak-idle)
	}
	eventually(t, "the descriptors are back", func() bool { return srv.descriptors(t) <= before })
	late := openTLS(t, srv.addr, id.client())
	late.exchange("after it")
	if lines := strings.Count(srv.log.String(), "\n"); lines > 10 {
		t.Errorf("%d lines were logged:\n%.2000s", lines, srv.log)
	}
}

// memory is the most that the process of c, which floods, ever had resident.
func (c *child) memory(t *testing.T, over *rawClient) (peak uint64) {
	t.Helper()
	over.send(masked(engine.Text, "memory?"))
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
	id := newIdentity(t, "server")
	addr := listenTLS(t, &engine.Server{Callbacks: echo, Limits: engine.Limits{HandshakeTimeout: time.Hour}}, id)
	for range 1100 { // more than handshakes may run at a time
		dialRaw(t, addr)
	}
	openTLS(t, addr, id.client()).exchange("hello")
}
