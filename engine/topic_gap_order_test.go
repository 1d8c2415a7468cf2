package engine_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// What is smaller might fit, but would come before OnGap is told.
func TestRefusedPublishIsFollowedByNoneUntilTheLoopGoesOn(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1, Slow: engine.Slow{Limit: 3400}, Callbacks: tellingGaps})
	c, ws := r.join()
	release := sync.OnceFunc(hold(t, ws))
	t.Cleanup(release)
	text := string(pattern(1000))
	for range 3 {
		r.publish(text, queued(1))
	}
	for _, text := range []string{text, "small"} {
		d, err := r.srv.Publish("room", engine.TextMessage(text))
		wantRefused(t, 1, d, err)
	}
	release()
	for range 3 {
		c.wantMessage(engine.Text, text)
	}
	c.wantMessage(engine.Text, "gap of 2 in room")
	flushed(t, ws)
	r.publish("small", queued(1))
	c.wantMessage(engine.Text, "small")
}

func TestGapIsToldBeforeWhatIsPublishedDuringTheFlushThatFollowsIt(t *testing.T) {
	for name, direct := range map[string]bool{"published only": false, "a send in between": true} {
		t.Run(name, func(t *testing.T) {
			r := openRoom(t, &engine.Server{Loops: 1, Slow: engine.Slow{Limit: 3400}, Callbacks: tellingGaps})
			_, first := r.join()
			c, ws := r.join()
			leave := sync.OnceFunc(hold(t, ws))
			t.Cleanup(leave)
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
			unlock := sync.OnceFunc(engine.HoldWrites(first)) // where the flush stops
			t.Cleanup(unlock)
			leave()
			eventually(t, "the flush", func() bool { return !refused() })
			if direct {
				if err := ws.SendText("direct"); err != nil {
					t.Error(err)
				}
			}
			unlock()
			for range 3 {
				c.wantMessage(engine.Text, text)
			}
			if direct {
				c.wantMessage(engine.Text, "direct")
			}
			c.wantMessage(engine.Text, fmt.Sprintf("gap of %d in room", missed))
			c.wantMessage(engine.Text, text)
		})
	}
}
