package engine_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// A connection that the peer reset, and of which nothing else was known, shares the record of its
// end with others like it: it says what any other says, and what it is given later is its own.
func TestConnectionsThatWereResetShareNothingThatChanges(t *testing.T) {
	opened := make(chan *engine.WebSocket, 2)
	srv := &engine.Server{Loops: 1, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		_ = ws.Subscribe("news")
		opened <- ws
	}}
	addr := listen(t, srv)
	for range 2 {
		c := openRaw(t, addr)
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	one, other := <-opened, <-opened
	eventually(t, "the end of both", func() bool { return srv.Stats().Ended[engine.CausePeerGone] == 2 })

	engine.Set(one, "mine")
	if v := engine.Get[string](other); v != "" {
		t.Errorf("the other has the value %q", v)
	}
	if one.ID() == other.ID() {
		t.Error("both have one ID")
	}
	for _, ws := range []*engine.WebSocket{one, other} {
		if err := ws.Err(); !errors.Is(err, engine.ErrAbnormalClosure) {
			t.Errorf("Err is %v", err)
		}
		if code, reason := ws.CloseStatus(); code != engine.StatusAbnormalClosure || reason != "" {
			t.Errorf("CloseStatus is %d, %q", code, reason)
		}
		if cause := ws.Cause(); cause != engine.CausePeerGone {
			t.Errorf("Cause is %v", cause)
		}
		if cause := context.Cause(ws.Context()); !errors.Is(cause, engine.ErrAbnormalClosure) {
			t.Errorf("the context ended with %v", cause)
		}
		<-ws.Done()
		if ws.RemoteAddr() != nil || len(ws.Topics()) > 0 {
			t.Error("it has an address or topics")
		}
	}
}
