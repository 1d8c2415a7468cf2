package load

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A loop that has much to send reads in between, or it would never find out that
// nothing keeps up.
func TestLoopInArrearsLooksAtWhatArrives(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		for err == nil {
			_, _, err = ws.ReadMessage()
		}
	}))
	defer srv.Close()
	g, err := Start(t.Context(), Config{
		Target: "ws" + strings.TrimPrefix(srv.URL, "http") + "/", Conns: 1, Loops: 1, Size: MinSize, Deadline: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.onLoops(func(w *worker) {
		w.begin(w.conns, now()-1e9, 1e5) // of a second
		w.paced()
		if w.pace.sent != longestRun || !w.pace.due.Load() {
			t.Errorf("%d messages left at once, the rest is to follow: %t; want %d, and true", w.pace.sent, w.pace.due.Load(), longestRun)
		}
		w.pace.on = false
	})
}
