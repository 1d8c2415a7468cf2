package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// gapCase is a slow subscriber of "room" that has lost messages 1 to 3 of 13, and
// of "other", where it has lost one after the first, by its policy SlowDropOldest.
// OnGap sends what it is called with, and notes it.
type gapCase struct {
	*slowCase
	gaps chan string
	runs chan func(*engine.WebSocket) // OnText runs one
}

// behindGaps is what its peer gets then.
var behindGaps = append([]string{"gap of 3 in room", "gap of 1 in other"}, numbers("m", 4, 13)...)

func openGapCase(t *testing.T) *gapCase {
	t.Helper()
	g := &gapCase{slowCase: &slowCase{closed: make(chan engine.StatusCode, 1)}, gaps: make(chan string, 10), runs: make(chan func(*engine.WebSocket), 1)}
	g.room = openRoom(t, &engine.Server{
		Loops:  1,
		Slow:   engine.Slow{Policy: engine.SlowDropOldest, Limit: slowLimit},
		Limits: engine.Limits{CloseTimeout: patience, WriteTimeout: -1, PingInterval: -1},
		Callbacks: engine.Callbacks{
			OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
				text := fmt.Sprintf("gap of %d in %s", dropped, topic)
				g.gaps <- text
				if err := ws.SendText(text); err != nil {
					t.Error("sending from OnGap:", err)
				}
			},
			OnText:  func(ws *engine.WebSocket, _ []byte) { (<-g.runs)(ws) },
			OnClose: func(_ *engine.WebSocket, code engine.StatusCode, _ string) { g.closed <- code },
		},
	})
	g.c, g.ws = g.joinNarrow()
	if err := g.ws.Subscribe("other"); err != nil {
		t.Fatal(err)
	}
	fillTo(t, g.ws, slowLimit-keptRoom)
	flushed(t, g.ws)
	for _, words := range numbers("m", 1, 10) {
		g.offer(words, queued(1))
	}
	for _, words := range numbers("m", 11, 13) {
		g.offer(words, engine.Delivery{Dropped: 1})
	}
	g.offerOther("lost", engine.Delivery{Dropped: 1}) // there is nothing of its topic to displace
	return g
}

func (g *gapCase) offerOther(words string, want engine.Delivery) {
	g.t.Helper()
	d, err := g.srv.Publish("other", engine.TextMessage(g.text(words)))
	if err != nil || d != want {
		g.t.Fatalf("publishing %q: %+v, %v; want %+v", words, d, err, want)
	}
	flushed(g.t, g.ws)
}

// wantEnd wants the peer to get texts and a close frame, and OnGap to have been
// called for each gap once.
func (g *gapCase) wantEnd(code engine.StatusCode, texts ...string) {
	g.t.Helper()
	g.wantTexts(texts...)
	if got, _ := g.c.readClose(); got != code {
		g.t.Errorf("close code %d, want %d", got, code)
	}
	g.c.send(testkit.Masked(codec.Close, string(codec.AppendClosePayload(nil, code, ""))))
	g.c.wantEOF()
	_ = g.c.Close()
	if got := within(g.t, "OnClose", g.closed); got != code {
		g.t.Errorf("OnClose: %d, want %d", got, code)
	}
	for _, want := range behindGaps[:2] {
		if got := within(g.t, "OnGap", g.gaps); got != want {
			g.t.Errorf("OnGap: %q, want %q", got, want)
		}
	}
	if n := len(g.gaps); n > 0 {
		g.t.Errorf("OnGap was called %d times too often", n)
	}
	if _, _, subs, slow := engine.HubLeft(g.srv); subs+slow != 0 {
		g.t.Errorf("%d subscriptions are left, %d slow", subs, slow)
	}
	if n := g.srv.Stats().QueuedBytes; n != 0 {
		g.t.Errorf("%d bytes count as queued", n)
	}
}

// R-e: whatever ends the subscription or the connection, OnGap is called before
// what is behind the gap is sent.
func TestOnGapIsCalledBeforeWhatIsBehindTheGapWhateverEndsIt(t *testing.T) {
	needs(t, fullSockets)
	close := func(ws *engine.WebSocket) {
		if err := ws.Close(engine.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
		if err := ws.SendText("late"); !errors.Is(err, engine.ErrClosed) {
			t.Error("a send after Close:", err)
		}
		if err := ws.Close(engine.StatusGoingAway, "a second time"); err != nil {
			t.Error(err)
		}
	}
	unsubscribe := func(ws *engine.WebSocket) {
		for _, topic := range []string{"room", "other"} {
			if err := ws.Unsubscribe(topic); err != nil {
				t.Error(err)
			}
		}
	}
	t.Run("Unsubscribe", func(t *testing.T) {
		g := openGapCase(t)
		unsubscribe(g.ws)
		if err := g.ws.Subscribe("room"); err != nil {
			t.Fatal(err)
		}
		g.wantTexts(behindGaps...)
		g.wantNormal()
		close(g.ws)
		g.wantEnd(engine.StatusNormalClosure)
	})
	t.Run("Unsubscribe and Close", func(t *testing.T) {
		g := openGapCase(t)
		unsubscribe(g.ws)
		close(g.ws)
		g.wantEnd(engine.StatusNormalClosure, behindGaps...)
	})
	t.Run("Close", func(t *testing.T) {
		g := openGapCase(t)
		close(g.ws)
		g.publish("nobody", queued(0))
		g.wantEnd(engine.StatusNormalClosure, behindGaps...)
	})
	t.Run("Close in a callback", func(t *testing.T) {
		g := openGapCase(t)
		g.runs <- close
		g.c.sendFrame(engine.Text, true, nil)
		g.wantEnd(engine.StatusNormalClosure, behindGaps...)
	})
	t.Run("Shutdown", func(t *testing.T) {
		g := openGapCase(t)
		over := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			over <- g.srv.Shutdown(ctx)
		}()
		g.wantEnd(engine.StatusGoingAway, behindGaps...)
		if err := within(t, "the end of Shutdown", over); err != nil {
			t.Error(err)
		}
	})
	t.Run("the peer's close frame", func(t *testing.T) {
		g := openGapCase(t)
		g.c.send(testkit.Masked(codec.Close, "\x03\xe8"))
		g.wantEnd(engine.StatusNormalClosure, behindGaps...)
	})
	t.Run("Unsubscribe and the peer's close frame in one read", func(t *testing.T) {
		g := openGapCase(t)
		g.runs <- unsubscribe
		g.c.send(testkit.Masked(engine.Text, "") + testkit.Masked(codec.Close, "\x03\xe8"))
		g.wantEnd(engine.StatusNormalClosure, behindGaps...)
	})
}

// R-e: Close in OnGap itself, and from elsewhere while OnGap is being called.
func TestCloseWhileOnGapIsCalled(t *testing.T) {
	needs(t, fullSockets)
	for name, in := range map[string]bool{"in OnGap": true, "elsewhere": false} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{})
			g := openGapCase(t)
			close := func() {
				defer close(closed)
				if err := g.ws.Close(engine.StatusNormalClosure, ""); err != nil {
					t.Error(err)
				}
			}
			err := g.ws.Do(func() {
				g.ws.OnGap(func(ws *engine.WebSocket, topic string, dropped uint64) {
					if topic == "room" {
						if in {
							close()
						} else {
							go close()
						}
						within(t, "Close", closed)
					}
					text := fmt.Sprintf("gap of %d in %s", dropped, topic)
					g.gaps <- text
					if err := ws.SendText(text); err != nil {
						t.Error(err)
					}
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			g.wantEnd(engine.StatusNormalClosure, behindGaps...)
		})
	}
}

// R-e: publishes that were refused because the loop was behind are a gap too, and
// what is published behind it while the flush is under way comes after OnGap.
func TestRefusedPublishesAreReportedBeforeWhatIsBehindThemWhateverEndsIt(t *testing.T) {
	for name, end := range map[string]func(*engine.WebSocket) error{
		"Unsubscribe": func(ws *engine.WebSocket) error { return ws.Unsubscribe("room") },
		"Close":       func(ws *engine.WebSocket) error { return ws.Close(engine.StatusNormalClosure, "") },
	} {
		for when, behind := range map[string]bool{"nothing behind it": false, "a message behind it": true} {
			t.Run(name+", "+when, func(t *testing.T) {
				r := openRoom(t, &engine.Server{Loops: 1, Slow: engine.Slow{Limit: 3400}, Callbacks: tellingGaps})
				_, first := r.join()
				c, ws := r.join()
				leave := hold(t, ws)
				text := string(pattern(1000))
				for range 3 {
					r.publish(text, queued(2))
				}
				missed := 0
				refused := func() bool {
					d, err := r.srv.Publish("room", engine.TextMessage(text))
					if err != nil {
						wantRefused(t, 2, d, err)
						missed++
					}
					return err != nil
				}
				refused()
				if behind {
					unlock := engine.HoldWrites(first) // where the flush stops
					leave()
					eventually(t, "the flush", func() bool { return !refused() })
					if err := end(ws); err != nil {
						t.Error(err)
					}
					unlock()
				} else {
					if err := end(ws); err != nil {
						t.Error(err)
					}
					leave()
				}
				for range 3 {
					c.wantMessage(engine.Text, text)
				}
				c.wantMessage(engine.Text, fmt.Sprintf("gap of %d in room", missed))
				if behind {
					c.wantMessage(engine.Text, text)
				}
				if name == "Close" {
					if code, _ := c.readClose(); code != engine.StatusNormalClosure {
						t.Errorf("close code %d", code)
					}
				}
			})
		}
	}
}

// What waits for OnGap ends with a connection that is dropped, and OnGap is not
// called any more.
func TestGapOfADroppedConnectionIsNotReported(t *testing.T) {
	g := openGapCase(t)
	if err := g.ws.Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	g.ws.CloseNow()
	within(t, "the end", g.ws.Done())
	if n := len(g.gaps); n > 0 {
		t.Errorf("OnGap was called %d times", n)
	}
	eventually(t, "nothing is held", func() bool { return g.ws.Buffered() == 0 && g.srv.Stats().QueuedBytes == 0 })
	if _, _, subs, slow := engine.HubLeft(g.srv); subs+slow != 0 {
		t.Errorf("%d subscriptions are left, %d slow", subs, slow)
	}
}

// A publisher that is faster than OnGap must not keep what waits from going out.
func TestWhatWaitsGoesOutThoughEachOnGapFindsNewLosses(t *testing.T) {
	needs(t, fullSockets)
	g := openGapCase(t)
	calls, lost := 0, uint64(0) // of the one loop
	ready := make(chan struct{})
	if err := g.ws.Do(func() {
		g.ws.OnGap(func(_ *engine.WebSocket, topic string, dropped uint64) {
			lost += dropped
			if calls++; calls > 50 || topic != "room" {
				return
			}
			for range 11 { // more than there is room for
				if _, err := g.srv.Publish("room", engine.TextMessage(g.text("new"))); err != nil {
					t.Error(err)
				}
			}
		})
		close(ready)
	}); err != nil {
		t.Fatal(err)
	}
	within(t, "the loop", ready)
	g.wantTexts(numbers("m", 4, 13)...)
	_ = g.c.SetReadDeadline(time.Time{})
	g.wantTexts("new")
}

// R-e: who subscribes anew has not been told of the gap of its earlier subscription:
// what is published then is behind it, also for a direct send, which does not wait.
func TestOnGapIsCalledBeforeWhatANewSubscriptionGets(t *testing.T) {
	needs(t, fullSockets)
	s := &slowCase{closed: make(chan engine.StatusCode, 1)}
	s.room = openRoom(t, &engine.Server{
		Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropNewest, Limit: slowLimit},
		Limits: engine.Limits{WriteTimeout: -1, PingInterval: -1},
		Callbacks: engine.Callbacks{OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
			if err := ws.SendText(fmt.Sprintf("gap of %d in %s", dropped, topic)); err != nil {
				t.Error("sending from OnGap:", err)
			}
		}},
	})
	s.c, s.ws = s.joinNarrow()
	fillTo(t, s.ws, slowLimit-2000)
	publish := func(words string, want engine.Delivery) {
		d, err := s.srv.Publish("room", engine.TextMessage(words))
		if err != nil || d != want {
			t.Fatalf("publishing %q: %+v, %v; want %+v", words, d, err, want)
		}
	}
	publish("first", queued(1))
	flushed(t, s.ws)
	publish(strings.Repeat("no room ", 500), engine.Delivery{Dropped: 1})
	if err := errors.Join(s.ws.SetSlow(engine.Slow{Policy: engine.SlowDropNewest, Limit: 2 * slowLimit}), s.ws.Unsubscribe("room"), s.ws.Subscribe("room")); err != nil {
		t.Fatal(err)
	}
	publish("behind the gap", queued(1))
	if err := s.ws.SendText("direct"); err != nil {
		t.Fatal(err)
	}
	s.wantTexts("first", "direct", "gap of 1 in room", "behind the gap")
}
