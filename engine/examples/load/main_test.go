package main

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/examples/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// serve returns the URL of srv, which ends with the test, and a context that bounds what
// hangs.
func serve(t *testing.T, srv *engine.Server) (url string, ctx context.Context) {
	t.Helper()
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(func() {
		cancel()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return "ws://" + addr.String(), ctx
}

// run does what main does, and sends until enough is closed.
func run(t *testing.T, ctx context.Context, l *load, enough <-chan struct{}) (report string) {
	t.Helper()
	if err := l.open(ctx); err != nil {
		t.Fatal(err)
	}
	sending, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-enough:
		case <-ctx.Done():
		}
		stop()
	}()
	l.send(sending)
	stop()
	l.await(ctx)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	l.report(&b)
	return b.String()
}

func expect(t *testing.T, report string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(report, line) {
			t.Errorf("no %q in:\n%s", line, report)
		}
	}
}

// echo returns callbacks that echo, and a channel that is closed after so many messages.
func echo(count int64) (engine.Callbacks, <-chan struct{}) {
	var n atomic.Int64
	enough := make(chan struct{})
	return engine.Callbacks{OnMessage: func(ws *engine.WebSocket, op engine.OpCode, data []byte) {
		_ = ws.Send(op, data)
		if n.Add(1) == count {
			close(enough)
		}
	}}, enough
}

func TestEveryEchoIsCounted(t *testing.T) {
	callbacks, enough := echo(500)
	url, ctx := serve(t, &engine.Server{
		Callbacks: callbacks,
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { _ = ws.SendText("Connected") },
	})
	l := &load{url: url, conns: 20, loops: 2, rate: 1_000_000, size: 64}
	report := run(t, ctx, l, enough)
	expect(t, report, "connections  20 of 20\n", " 0 refused", "latency      p50 ")
	if sent, echoed := l.sent.Load(), l.echoed.Load(); sent != echoed || sent < 500 {
		t.Errorf("%d sent, %d echoed", sent, echoed)
	}
	if strings.Contains(report, "lost") || strings.Contains(report, "failed") || l.late.percentile(50) <= 0 {
		t.Error(report)
	}
}

func TestRefusedConnectionsHaveTheirStatus(t *testing.T) {
	callbacks, enough := echo(100)
	var requests atomic.Int64
	url, ctx := serve(t, &engine.Server{
		Callbacks: callbacks,
		ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			if requests.Add(1) > 3 {
				return nil, engine.Reject(http.StatusTooManyRequests, "three are enough")
			}
			return nil, nil
		},
	})
	report := run(t, ctx, &load{url: url, conns: 5, loops: 1, rate: 1_000_000, size: 8}, enough)
	expect(t, report, "connections  3 of 5\n", "failed       2: HTTP 429\n")
}

func TestNobodyListens(t *testing.T) {
	srv := new(engine.Server)
	url, ctx := serve(t, srv)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	report := run(t, ctx, &load{url: url, conns: 3, loops: 1, rate: 1, size: 8}, nil)
	expect(t, report, "connections  0 of 3\n", "failed       3: connection refused\n", "p50 0s")
}

// Half of the connections end at once, the others 500 messages later.
func TestLostConnectionsHaveTheirCause(t *testing.T) {
	var ended, later atomic.Int64
	url, ctx := serve(t, &engine.Server{Callbacks: engine.Callbacks{
		OnMessage: func(ws *engine.WebSocket, _ engine.OpCode, _ []byte) {
			switch {
			case ws.ID()%2 == 1:
				_ = ws.Close(engine.StatusTryAgainLater, "full")
			case ended.Load() >= 5 && later.Add(1) > 500:
				ws.CloseNow()
			}
		},
		OnClose: func(*engine.WebSocket, engine.StatusCode, string) { ended.Add(1) },
	}})
	report := run(t, ctx, &load{url: url, conns: 10, loops: 1, rate: 1_000_000, size: 8}, nil) // ends when all are lost
	expect(t, report, "connections  10 of 10\n", "lost         5: peer error (1013", "lost         5: peer gone (1006")
}

func TestBackpressureIsCounted(t *testing.T) {
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { ws.PauseReading() }}
	url, ctx := serve(t, srv)
	l := &load{url: url, conns: 1, loops: 1, rate: 1_000_000, size: 1 << 20}
	go func() {
		for l.refused.Load() == 0 && ctx.Err() == nil {
			runtime.Gosched()
		}
		srv.Each(func(ws *engine.WebSocket) { ws.CloseNow() }) // which ends the sending
	}()
	report := run(t, ctx, l, nil)
	expect(t, report, "lost         1: peer gone (1006")
	if strings.Contains(report, " 0 refused") {
		t.Error(report)
	}
}

// Each percentile is at most 1/32 above that of the sorted durations.
func TestPercentiles(t *testing.T) {
	var h histogram
	if got := h.percentile(50); got != 0 {
		t.Error("of none:", got)
	}
	const n = 100_000
	for i := range n {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	for _, percent := range []float64{0.001, 1, 50, 90, 99.9, 100} {
		want := time.Duration(percent / 100 * n * float64(time.Microsecond))
		if got := h.percentile(percent); got < want || got > want+want/32+1 {
			t.Errorf("p%v is %v, want %v", percent, got, want)
		}
	}
	h.add(1<<63 - 1)
	h.add(-1)
	if got := h.percentile(100); got != 1<<63-1 {
		t.Error("the longest is", got)
	}
}
