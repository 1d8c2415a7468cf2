package engine

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/tlsconfig"
)

// Dial tells by its context that it took too long. A loop that ended the
// connection for the same reason would have it tell another when the goroutine of
// Dial comes late.
func TestLoopLeavesTheTimeOfATLSHandshakeToDial(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	log := slog.New(slog.DiscardHandler)
	d := &dialer{opt: new(DialOptions), settings: newSettings(codec.Client, Limits{}, Callbacks{}, log)}
	if d.group, err = clients.Acquire(log); err != nil {
		t.Fatal(err)
	}
	defer clients.Release()
	d.settings.onEnd = clients.Release
	target, err := parseURL("wss://" + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.newConnect(target)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := d.connect(context.Background(), target)
	if err != nil {
		t.Fatal(err)
	}
	first := &secure{config: tlsconfig.Client(nil, target.Host), next: c}
	ws, err := d.adopt(tr, first)
	if err != nil {
		t.Fatal(err)
	}
	later := make(chan struct{})
	_ = ws.Do(func() { first.timeout(ws) })
	_ = ws.Do(func() { close(later) }) // if it has not ended
	select {
	case <-later:
	case err := <-c.result:
		t.Fatalf("the loop ended the connection: %v", err)
	}
	ws.CloseNow()
	<-c.result
}
