package engine

import (
	"log/slog"
	"runtime"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// bareHub is a hub over two loops that have no connections. Its members share
// one WebSocket, which is closed: what is published to them goes nowhere.
func bareHub(t *testing.T) (*loop.Group, *fanout.Hub, *WebSocket) {
	t.Helper()
	g, err := loop.Start(loop.Config{Loops: 2, BlockedAfter: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		<-g.Done()
	})
	e := newSettings(codec.Server, Limits{}, Callbacks{}, nil)
	e.hub = fanout.New(g.Loops(), fanout.Config{Slow: Slow{}.withDefaults(e), Connections: connections{}})
	ws := newWebSocket(e, nil)
	ws.out.MoveLocked(outlet.Closed)
	return g, e.hub, ws
}

func heapInUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// grown reports how much the heap grew by since before, for each of n, and wants
// at most limit bytes.
func grown(t *testing.T, before, n, limit int, what string) {
	t.Helper()
	each := (heapInUse() - before) / n
	t.Logf("%d bytes for each %s", each, what)
	if each > limit {
		t.Errorf("%d bytes for each %s, want at most %d", each, what, limit)
	}
}

// An idle connection with a value and one subscription, without what package loop
// needs for it.
func TestHeapOfAnIdleSubscriber(t *testing.T) {
	const n = 100_000
	_, h, closed := bareHub(t)
	all := make([]*WebSocket, n)
	before := heapInUse()
	for i := range all {
		ws := newWebSocket(closed.settings(), nil)
		Set(ws, h)
		m := h.NewMember(&ws.conn, &ws.out, i%2)
		ws.member.Store(m)
		if err := h.Subscribe(m, "everybody"); err != nil {
			t.Fatal(err)
		}
		all[i] = ws
	}
	grown(t, before, n, 500, "idle subscriber")
	for _, ws := range all {
		ws.member.Load().LeaveAll()
	}
	runtime.KeepAlive(all)
}
