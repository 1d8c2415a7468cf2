package engine_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// Pings to a queue that was neither over HighWater nor refused a send are no
// reason for OnDrain, wherever the queue is to LowWater; they are answered all
// the same.
func TestPingsDoNotCallOnDrain(t *testing.T) {
	needs(t, fullSockets)
	for _, low := range []int{64 << 10, 4 << 20} {
		t.Run(strconv.Itoa(low), func(t *testing.T) {
			opened, pings := make(chan *engine.WebSocket, 1), make(chan string, 8)
			var drains atomic.Int64
			srv := &engine.Server{
				Limits:    engine.Limits{MaxQueued: 16 << 20, HighWater: 8 << 20, LowWater: low},
				OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
				Callbacks: engine.Callbacks{
					OnDrain: func(*engine.WebSocket) { drains.Add(1) },
					OnPing:  func(_ *engine.WebSocket, p []byte) { pings <- string(p) },
				},
			}
			c := openNarrow(t, listen(t, srv))
			ws := within(t, "OnUpgrade", opened)
			sent := uint32(0)
			for ; ws.Buffered() < 500_000; sent++ {
				if err := ws.SendBinary(numbered(sent, 100_000)); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range []string{"one", "two"} {
				c.sendFrame(codec.Ping, true, []byte(p))
				if got := within(t, "OnPing", pings); got != p {
					t.Fatalf("OnPing got %q, want %q", got, p)
				}
			}
			if n := ws.Buffered(); n < 64<<10 {
				t.Fatalf("only %d bytes are queued", n)
			}
			for i, pong := uint32(0), ""; i < sent || pong != "two"; {
				h, got, err := c.readFrame()
				switch {
				case err != nil:
					t.Fatalf("after %d of %d messages and the pong %q: %v", i, sent, pong, err)
				case h.OpCode == codec.Pong:
					pong = string(got)
				default:
					i++
				}
			}
			if n := drains.Load(); n != 0 {
				t.Errorf("OnDrain came %d times", n)
			}
		})
	}
}
