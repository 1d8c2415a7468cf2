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

// What the clients themselves are late counts as latency: from the time at which
// a message was to leave, not from when it left.
func TestLatenessOfTheClientsCountsAsLatency(t *testing.T) {
	const late, rate = 60, 1 // seconds, a second
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		for kind, p, err := ws.ReadMessage(); err == nil; kind, p, err = ws.ReadMessage() {
			_ = ws.WriteMessage(kind, p) // else the next read fails
		}
	}))
	defer srv.Close()
	for _, mode := range []Mode{Echo, Fanout} {
		t.Run(string(mode), func(t *testing.T) {
			g, err := Start(t.Context(), Config{
				Target: "ws" + strings.TrimPrefix(srv.URL, "http") + "/", Mode: mode, Conns: 1, Loops: 1, Size: MinSize,
				Deadline: time.Minute, Tolerant: true, // or it would be too late
			})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			if _, err := g.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if mode == Fanout {
				g.countReaders()
				g.enrol()
			}
			g.onLoops(func(w *worker) {
				w.begin(w.conns, now()-late*1e9, rate)
				w.paced()
				w.pace.on = false
			})
			var seen Window
			for end := time.Now().Add(time.Minute); seen.Messages < late && time.Now().Before(end); {
				w, err := g.take()
				if err != nil {
					t.Fatal(err)
				}
				seen.Append(w)
			}
			for name, l := range map[string]Latency{"to arrive": seen.Latency, "to arrive everywhere": seen.Last} {
				if name == "to arrive" || mode == Fanout {
					if half := time.Duration(l.At(0.5)); half < late/3*time.Second {
						t.Errorf("half of %d messages took less than %v %s; those were up to %d s late", seen.Messages, half, name, late)
					}
				}
			}
		})
	}
}
