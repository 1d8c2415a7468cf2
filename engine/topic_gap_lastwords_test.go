package engine_test

import (
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// What waits for the end of a fragmented message is lost if that is still under way
// when the close frame is due: it counts as dropped, and OnGap is told.
func TestWhatWaitsForAFragmentedMessageIsReportedAtTheEnd(t *testing.T) {
	for name, end := range map[string]func(*rawClient, *engine.WebSocket){
		"by Close": func(_ *rawClient, ws *engine.WebSocket) { _ = ws.Close(engine.StatusNormalClosure, "") },
		"by the peer's close frame": func(c *rawClient, _ *engine.WebSocket) {
			c.sendFrame(codec.Close, true, codec.AppendClosePayload(nil, engine.StatusNormalClosure, ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var lost uint64
			r := openRoom(t, &engine.Server{Loops: 1, Callbacks: engine.Callbacks{
				OnGap: func(_ *engine.WebSocket, _ string, dropped uint64) { lost += dropped },
			}})
			c, ws := r.join()
			if err := ws.SendFragment(engine.Text, []byte("a"), false); err != nil {
				t.Fatal(err)
			}
			r.publish("one", queued(1))
			r.publish("two", queued(1))
			end(c, ws)
			c.wantFrame(engine.Text, false, "a")
			if code, _ := c.readClose(); code != engine.StatusNormalClosure {
				t.Errorf("closed with %d", code)
			}
			_ = c.Close()
			within(t, "the end", ws.Done())
			if lost != 2 {
				t.Errorf("OnGap was told of %d lost messages, want 2", lost)
			}
			if st := r.srv.Stats(); st.Dropped != 2 || st.QueuedBytes != 0 {
				t.Errorf("%d are dropped and %d bytes queued, want 2 and none", st.Dropped, st.QueuedBytes)
			}
		})
	}
}
