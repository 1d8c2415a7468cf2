package pull_test

import (
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// A Conn leaves topics, direct sends and the other callbacks of its WebSocket alone.
func TestNewMixesWithCallbacksAndTopics(t *testing.T) {
	pinged := make(chan string, 1)
	srv := new(engine.Server)
	srv.Callbacks.OnPing = func(_ *engine.WebSocket, payload []byte) { pinged <- string(payload) }
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		c := pull.New(ws)
		_ = ws.Subscribe("all")
		_ = ws.SendText("welcome")
		ws.Go(func() {
			for m, err := range c.Messages(c.Context()) {
				if err != nil {
					return
				}
				_, _ = srv.Publish("all", engine.Message{Op: m.Op, Data: m.Data})
			}
		})
	}
	url := listen(t, srv)
	ann, ben := dial(t, url, nil), dial(t, url, nil)
	wantText(t, ann, "welcome")
	wantText(t, ben, "welcome")
	send(t, ann, "hello")
	wantText(t, ann, "hello")
	wantText(t, ben, "hello")
	if err := ben.WebSocket().Ping([]byte("by hand")); err != nil {
		t.Fatal(err)
	}
	if payload := within(t, "OnPing", pinged); payload != "by hand" {
		t.Errorf("OnPing got %q", payload)
	}
}
