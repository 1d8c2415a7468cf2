package engine_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// H01
func TestHeadOverTheLimitIsRefused(t *testing.T) {
	addr := listen(t, &engine.Server{})
	cases := map[string]struct {
		head   string
		status int
	}{
		"head over 8 KiB":      {testkit.UpgradeHead(addr, "X-Long: "+strings.Repeat("a", 8<<10)), 431},
		"endless header line":  {"GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 9<<10), 431},
		"endless header lines": {"GET / HTTP/1.1\r\n" + strings.Repeat("X: abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\r\n", 99), 431},
		"endless start line":   {"GET /" + strings.Repeat("a", 9<<10), 414},
		"more than 100 lines":  {testkit.UpgradeHead(addr, many("X-Line: 1", 97)...), 431}, // H02
	}
	for name, c := range cases {
		t.Run(name+", at once", func(t *testing.T) {
			client := dialRaw(t, addr)
			client.send(c.head)
			client.wantRefused(c.status)
		})
		t.Run(name+", in pieces", func(t *testing.T) {
			client := dialRaw(t, addr)
			go func() {
				for head := c.head; head != ""; head = head[min(len(head), 1000):] {
					if _, err := io.WriteString(client.Conn, head[:min(len(head), 1000)]); err != nil {
						return // refused already
					}
				}
			}()
			client.wantRefused(c.status)
		})
	}
}

// H02
func TestAHundredHeadersAreAccepted(t *testing.T) {
	addr := listen(t, &engine.Server{})
	openRaw(t, addr, many("X-Line: 1", 95)...) // and five of the handshake itself
}

func many(line string, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = line
	}
	return lines
}

// H01
func TestUnfinishedHeadsCostAtMost16KiBEach(t *testing.T) {
	needs(t, noAllocations)
	if raceEnabled {
		t.Skip("the race detector changes what allocations cost")
	}
	const clients = 200
	addr := listen(t, &engine.Server{Loops: 1, Limits: engine.Limits{HandshakeTimeout: time.Hour}})
	before, _ := liveHeap()
	conns := make([]*rawClient, clients)
	start := "GET / HTTP/1.1\r\nHost: a\r\nX-Long: "
	for i := range conns {
		conns[i] = &rawClient{Conn: mustDial(t, addr), t: t}
		conns[i].send(start)
	}
	body := strings.Repeat("a", 8<<10-len(start))
	for i := range 4 { // in pieces, so that the server has to keep them
		for _, c := range conns {
			c.send(body[i*len(body)/4 : (i+1)*len(body)/4])
		}
	}
	openRaw(t, addr) // the one loop has read what came before
	after, _ := liveHeap()
	if each := (int64(after) - int64(before)) / clients; each > 16<<10 {
		t.Errorf("an unfinished head of 8 KiB costs %d bytes, want at most 16 KiB", each)
	}
	for _, c := range conns {
		c.send("a")
		newRawClient(t, c.Conn).wantRefused(http.StatusRequestHeaderFieldsTooLarge)
	}
}

func mustDial(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// H03
func TestSlowHeadsEndAtTheDeadline(t *testing.T) {
	const slow = 1000
	addr := listen(t, &engine.Server{Limits: engine.Limits{HandshakeTimeout: 500 * time.Millisecond}})
	for _, c := range dripHeads(t, addr, slow) {
		resp, _ := c.readResponse()
		if resp.StatusCode != http.StatusRequestTimeout {
			t.Fatalf("status %d, want 408", resp.StatusCode)
		}
		c.wantGone() // a byte may be under way: a reset is in order too
	}
}

// H03: others are served while the heads drip, not only when they have ended.
func TestSlowHeadsHoldNobodyUp(t *testing.T) {
	const slow = 1000
	srv := &engine.Server{Callbacks: echo, Limits: engine.Limits{HandshakeTimeout: time.Hour}}
	addr := listen(t, srv)
	busy := openRaw(t, addr)
	dripHeads(t, addr, slow)
	eventually(t, "all are connected", func() bool { return srv.Conns() == 1+slow })
	for i := range 100 {
		busy.exchange(fmt.Sprint("still here ", i))
	}
	if n := srv.Conns(); n != 1+slow {
		t.Errorf("%d connections are left of %d", n, 1+slow)
	}
}

// dripHeads opens n connections whose heads come octet by octet and never end,
// until the test does.
func dripHeads(t *testing.T, addr string, n int) []*rawClient {
	t.Helper()
	conns := make([]*rawClient, n)
	for i := range conns {
		conns[i] = dialRaw(t, addr)
	}
	stop := make(chan struct{})
	var dripping sync.WaitGroup
	dripping.Go(func() {
		head := "GET / HTTP/1.1\r\nX-Long: " + strings.Repeat("a", 8000)
		for i := range len(head) {
			for _, c := range conns {
				select {
				case <-stop:
					return
				default:
					_, _ = io.WriteString(c.Conn, head[i:i+1]) // closed by then, in the end
				}
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		dripping.Wait()
	})
	return conns
}

// H03: octets that keep coming do not move the deadline.
func TestDeadlineOfTheHeadStandsStill(t *testing.T) {
	addr := listen(t, &engine.Server{Limits: engine.Limits{
		HandshakeTimeout: 300 * time.Millisecond,
		MaxHead:          1 << 30,
	}})
	c := dialRaw(t, addr)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := io.WriteString(c.Conn, "GET / HTTP/1.1\r\nX: ")
		for err == nil {
			_, err = io.WriteString(c.Conn, "a")
		}
	}()
	if resp, _ := c.readResponse(); resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d, want 408", resp.StatusCode)
	}
	_ = c.Close()
	<-done
}

// H03
func TestSilentConnectionIsClosedAtTheDeadline(t *testing.T) {
	addr := listen(t, &engine.Server{Limits: engine.Limits{HandshakeTimeout: 20 * time.Millisecond}})
	dialRaw(t, addr).wantRefused(http.StatusRequestTimeout)
}

// H04
func TestHeadSplitAtEveryByte(t *testing.T) {
	var text atomic.Int32
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, p []byte) { text.Add(1); _ = ws.Send(engine.Text, p) },
	}})
	head := testkit.UpgradeHead(addr) + testkit.Masked(engine.Text, "first")
	for cut := 1; cut < len(head); cut++ {
		c := dialRaw(t, addr)
		c.send(head[:cut])
		c.send(head[cut:])
		c.wantUpgraded()
		c.wantMessage(engine.Text, "first")
		_ = c.Close()
	}
	if want := int32(len(head) - 1); text.Load() != want {
		t.Errorf("%d messages were delivered, want %d", text.Load(), want)
	}
}

// H04
func TestHeadByteByByte(t *testing.T) {
	addr := listen(t, &engine.Server{Callbacks: echo})
	c := dialRaw(t, addr)
	octets := testkit.UpgradeHead(addr) + testkit.Masked(engine.Text, "first")
	for i := range len(octets) {
		c.send(octets[i : i+1])
	}
	c.wantUpgraded()
	c.wantMessage(engine.Text, "first")
}
