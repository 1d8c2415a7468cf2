package engine_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// mostLate is what a closing connection reads with the default limits: MaxMessage and 16 MiB.
const mostLate = 1<<20 + 16<<20

// floodWith writes 1 MiB again and again until the other side takes no more, and reports whether
// that was before 256 MiB.
func floodWith(c net.Conn, again []byte) (cut bool) {
	for range 256 {
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		if _, err := c.Write(again); err != nil {
			return true
		}
	}
	return false
}

// wantCut floods a connection of srv that is closing, and wants it read up to the bound only.
func wantCut(t *testing.T, srv *engine.Server, c net.Conn) {
	t.Helper()
	before := srv.Stats().BytesIn
	if !floodWith(c, []byte(testkit.Masked(engine.Binary, string(pattern(1<<20))))) {
		t.Fatalf("%d bytes were read and discarded", srv.Stats().BytesIn-before)
	}
	eventually(t, "the connection is let go", func() bool { return srv.Conns() == 0 })
	const slack = 1 << 20 // one turn of the loop, and what TLS adds
	if n := srv.Stats().BytesIn - before; n > mostLate+slack {
		t.Errorf("%d bytes were read, want at most %d", n, mostLate)
	}
}

// Who sends on in place of an answer to the close frame is cut, though no time passes.
func TestFloodOfAClosingConnectionIsCut(t *testing.T) {
	for phase, want := range map[string]struct {
		code  engine.StatusCode
		cause string
	}{
		"closing":   {engine.StatusAbnormalClosure, "timeout"},
		"failing":   {engine.StatusProtocolError, "protocol"},
		"answering": {4001, "-"},
	} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			p := inPhase(t, phase)
			wantCut(t, p.srv, p.c.Conn)
			if e := within(t, "OnClose", p.ended); e.code != want.code || e.cause() != want.cause {
				t.Errorf("it ended with %d %s, want %d %s", e.code, e.cause(), want.code, want.cause)
			}
		})
	}
}

// The same over TLS, of which the loop discards records.
func TestFloodOfAFailedTLSConnectionIsCut(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{Loops: 1, TLS: id.Server(), Limits: engine.Limits{CloseTimeout: time.Hour}}
	addr := listen(t, srv)
	c := dialRaw(t, addr).secured(id.Client())
	c.send(testkit.UpgradeHead(addr))
	c.wantUpgraded()
	c.send(frame(0x83, ""))
	c.readClose()
	wantCut(t, srv, c.Conn)
}

// Who sends on after his request was refused is cut.
func TestFloodBehindARefusedRequestIsCut(t *testing.T) {
	srv := &engine.Server{
		Loops: 1, Limits: engine.Limits{CloseTimeout: time.Hour},
		ShouldUpgrade: refuse(engine.Reject(http.StatusForbidden, "no")),
	}
	addr := listen(t, srv)
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr))
	c.wantRefused(http.StatusForbidden)
	wantCut(t, srv, c.Conn)
}

// A client that has answered the close frame waits for the server to end the transport, and
// reads no flood meanwhile.
func TestClientCutsFloodBehindTheClosingHandshake(t *testing.T) {
	cut := make(chan bool, 1)
	s := fake(t, func(nc net.Conn, req *http.Request) {
		_, _ = io.WriteString(nc, switching(req)+string(codec.AppendFrame(nil, codec.Close, true, []byte(closePayload(4001, "so long")))))
		cut <- floodWith(nc, codec.AppendFrame(nil, engine.Binary, true, pattern(1<<20)))
	})
	ws, err := dialFake(s, &engine.DialOptions{Limits: engine.Limits{CloseTimeout: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	if !within(t, "the flood", cut) {
		t.Fatal("256 MiB were read and discarded")
	}
	within(t, "the end", ws.Done())
	if err := ws.Err(); err != nil {
		t.Errorf("Err is %v, though the closing handshake was finished", err)
	}
}

// Who has much under way when the close frame comes finishes the closing handshake.
func TestWhatIsUnderWayDoesNotCutAClosingConnection(t *testing.T) {
	p := inPhase(t, "closing")
	for range 12 {
		p.c.send(testkit.Masked(engine.Binary, string(pattern(1<<20))))
	}
	p.c.send(testkit.Masked(codec.Close, closePayload(4003, "you too")))
	p.c.wantEOF()
	_ = p.c.Close()
	wantEnding(t, p.ended, 4003, "you too", nil)
}

// The same where no answer is awaited: the peer is not cut before it can have read why.
func TestWhatIsUnderWayDoesNotCutTheLastWords(t *testing.T) {
	for _, phase := range []string{"failing", "answering"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			p := inPhase(t, phase)
			before := p.srv.Stats().BytesIn
			const most = 16 << 20
			for range most >> 20 {
				p.c.send(string(pattern(1 << 20)))
			}
			eventually(t, "all is read", func() bool { return p.srv.Stats().BytesIn-before >= most })
			engine.Turn(p.srv)
			if got := engine.PhaseOf(p.ws); got != phase {
				t.Errorf("it is %s", got)
			}
		})
	}
}
