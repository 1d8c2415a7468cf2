package live

import (
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// SweepIn is the sweep that is due in d.
func (t *Topics) SweepIn(d time.Duration) { t.sweepAt(time.Now().Add(d)) }

// Unanswered says whether the broker does not answer what a topic asks.
func (t *Topics) Unanswered(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	top := t.topics[name]
	return top != nil && top.unanswered()
}

// Lose is what OnUnsubscribe does for the publish that was back before the one with
// which ws became live in a topic; other: of another topic of the same name.
func (t *Topics) Lose(ws *engine.WebSocket, name string, back uint64, other bool) {
	t.mu.Lock()
	s := t.find(ws, name)
	t.mu.Unlock()
	m := &mark{topic: s.topic, number: s.joined - back, before: s.topic.at}
	if other {
		m.topic, m.number = &topic{}, 1<<40
	}
	t.lost(ws, t.config.Prefix+name, m)
}
