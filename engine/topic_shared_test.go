package engine_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// sockoptInt is a Control function that sets an option of SOL_SOCKET.
func sockoptInt(option, value int) func(string, string, syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, value)
		}); cerr != nil {
			return cerr
		}
		return err
	}
}

// listenWithSendBuffer is listen for a server whose sockets have a send buffer
// of n bytes, or the least that the kernel gives.
func listenWithSendBuffer(t *testing.T, srv *engine.Server, n int) string {
	t.Helper()
	listen(t, srv) // for the end of it
	lc := net.ListenConfig{Control: sockoptInt(syscall.SO_SNDBUF, n)}
	nl, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := nl.Addr().String()
	go func() { _ = srv.Serve(nl) }() // ErrServerClosed
	return addr
}

// dialNarrow connects with a receive buffer as small as the kernel has it, so that
// a client that does not read blocks its server soon.
func dialNarrow(t *testing.T, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{Control: sockoptInt(syscall.SO_RCVBUF, 4096)}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// openNarrow is openRaw over dialNarrow.
func openNarrow(t *testing.T, addr string, lines ...string) *rawClient {
	t.Helper()
	c := newRawClient(t, dialNarrow(t, addr))
	c.send(testkit.UpgradeHead(addr, lines...))
	c.wantUpgraded()
	return c
}

// R11: however little a socket takes at once, a shared payload reaches everyone
// whole, and is queued once for all.
func TestSharedPayloadArrivesWholeThroughSmallSendBuffers(t *testing.T) {
	const size = 8 << 20
	clients := 8
	if longTests {
		clients = 100
	}
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(i*i>>8 ^ i)
	}
	prepared, err := engine.Prepare(engine.Binary, payload)
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan *engine.WebSocket, clients)
	srv := &engine.Server{
		Loops:     2,
		Limits:    engine.Limits{PingInterval: -1}, // nobody would answer
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
	}
	addr := listenWithSendBuffer(t, srv, 4096)
	conns := make([]*rawClient, clients)
	sockets := make([]*engine.WebSocket, clients)
	for i := range conns {
		conns[i] = openRaw(t, addr)
		sockets[i] = within(t, "OnUpgrade", opened)
	}
	before, _ := liveHeap()
	queued := 0
	for _, ws := range sockets {
		if err := ws.SendPrepared(prepared); err != nil {
			t.Fatal(err)
		}
		queued += ws.Buffered()
	}
	if after, _ := liveHeap(); queued < clients*size/2 || after > before+size {
		t.Errorf("%d bytes are queued for %d clients, and the heap grew by %d", queued, clients, int64(after)-int64(before))
	}
	want := sha256.Sum256(payload)
	var reading sync.WaitGroup
	for i, c := range conns {
		reading.Go(func() {
			if got, err := digestOfMessage(c, size); err != nil || got != want {
				t.Errorf("client %d: %v, digest %x, want %x", i, err, got[:4], want[:4])
			}
		})
	}
	reading.Wait()
}

// digestOfMessage reads one frame with a length of eight octets.
func digestOfMessage(c *rawClient, size int64) (sum [32]byte, err error) {
	h := sha256.New()
	if _, err = io.CopyN(io.Discard, c.br, 10); err == nil {
		_, err = io.CopyN(h, c.br, size)
	}
	return [32]byte(h.Sum(nil)), err
}

// R12: more messages than one send takes buffers (1024), shared and own ones by
// turns.
func TestThousandsOfQueuedMessagesFlushInOrder(t *testing.T) {
	const messages = 2000
	opened := make(chan *engine.WebSocket, 1)
	addr := listen(t, &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
	})
	c := openNarrow(t, addr)
	ws := within(t, "OnUpgrade", opened)
	filler := pattern(64 << 10)
	fillers := 0
	for ; ws.Buffered() == 0; fillers++ {
		if err := ws.SendBinary(filler); err != nil {
			t.Fatal(err)
		}
	}
	for i := range messages {
		text := fmt.Sprintf("message %d of %d", i, messages)
		prepared, err := engine.Prepare(engine.Text, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			err = ws.SendText(text)
		} else {
			err = ws.SendPrepared(prepared)
		}
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	for range fillers {
		c.wantMessage(engine.Binary, string(filler))
	}
	for i := range messages {
		c.wantMessage(engine.Text, fmt.Sprintf("message %d of %d", i, messages))
	}
	eventually(t, "the queue is empty", func() bool { return ws.Buffered() == 0 })
}
