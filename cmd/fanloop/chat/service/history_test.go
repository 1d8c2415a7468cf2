package service_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// A read position lives as long as messages do, also when those are kept for longer than
// before: otherwise a message that was read would be new again.
func TestReadPositionsLiveAsLongAsMessages(t *testing.T) {
	l := &lives{t: t, dir: t.TempDir()}
	for _, hours := range []struct{ messages, markers time.Duration }{{200, 200}, {300, 300}, {250, 300}} { // above that of other namespaces
		l.restart(5, hours.messages*time.Hour, false)
		if got, err := service.MarkersLive(l.ctx, l.s); err != nil || got != hours.markers*time.Hour {
			t.Errorf("with messages of %d h they live %v, %v; want %d h", hours.messages, got, err, hours.markers)
		}
	}
}

// lives is a node that is started again and again with the same folder.
type lives struct {
	t   *testing.T
	dir string
	s   *service.Service
	ctx context.Context
}

// restart ends the node and starts it with other limits of the namespace few.
func (l *lives) restart(size int, age time.Duration, shrink bool) {
	l.t.Helper()
	if l.s != nil {
		if err := l.s.Shutdown(l.ctx); err != nil {
			l.t.Fatal(err)
		}
	}
	l.s, l.ctx = start(l.t, func(c *config.Config) {
		c.DataDir = l.dir
		few := c.Namespaces[config.DefaultNamespace]
		few.HistorySize, few.HistoryAge, few.HistoryShrink = size, age, shrink
		c.Namespaces["few"] = few
	})
}

// publish stores messages in a topic, and returns the position of the last one.
func (l *lives) publish(ids ...string) *protocol.Position {
	l.t.Helper()
	var last *protocol.Position
	for _, id := range ids {
		published, err := l.s.Publish(l.ctx, "ann", "", &protocol.Publish{Topic: "few:x", ID: id, Data: protocol.Data(`1`)})
		if err != nil {
			l.t.Fatal(err)
		}
		last = published.Pos
	}
	return last
}

// keeps wants the topic to have these messages, over all pages.
func (l *lives) keeps(want ...string) {
	l.t.Helper()
	var got []string
	for before := (*protocol.Position)(nil); ; {
		page, err := l.s.History(l.ctx, &protocol.History{Topic: "few:x", Before: before, Limit: 100})
		if err != nil {
			l.t.Fatal(err)
		}
		var ids []string
		for _, m := range page.Messages {
			ids = append(ids, strings.TrimPrefix(m.ID, "ann/"))
		}
		got = append(ids, got...)
		if before = page.Back; before == nil {
			break
		}
	}
	if !slices.Equal(got, want) {
		l.t.Errorf("the history is %v, want %v", got, want)
	}
}

// A topic that exists keeps more after a restart with larger limits.
func TestHistoryGrowsWithItsSettings(t *testing.T) {
	l := &lives{t: t, dir: t.TempDir()}
	l.restart(3, time.Hour, false)
	l.publish("a", "b", "c", "d", "e")
	l.keeps("c", "d", "e")
	l.restart(5, 2*time.Hour, false)
	l.publish("f", "g", "h")
	l.keeps("d", "e", "f", "g", "h")
}

// Smaller limits remove messages only if the settings say so; until then a client goes on where
// it was.
func TestHistoryShrinksOnlyIfItIsToldTo(t *testing.T) {
	l := &lives{t: t, dir: t.TempDir()}
	l.restart(5, 2*time.Hour, false)
	at := l.publish("a")
	l.publish("b", "c", "d")

	l.restart(2, time.Hour, false)
	l.keeps("a", "b", "c", "d")
	if got := connect(t, l.ctx, l.s, protocol.JSON, "bob").subscribe(protocol.Subscribe{Topic: "few:x", Attempt: 1, Pos: at}); got.State != protocol.Resumed {
		t.Errorf("with all messages kept: %+v", got)
	}

	l.restart(2, time.Hour, true)
	l.keeps("c", "d")
	if got := connect(t, l.ctx, l.s, protocol.JSON, "bob").subscribe(protocol.Subscribe{Topic: "few:x", Attempt: 1, Pos: at}); got.State != protocol.Reset {
		t.Errorf("with b removed: %+v", got)
	}
	l.publish("e")
	l.keeps("d", "e")
}
