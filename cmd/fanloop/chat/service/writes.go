package service

import (
	"context"
	"sync"
	"time"
)

// writes are the publishes of clients that the store has not answered. Who takes a right
// away waits for those that were allowed before: when he is answered, no message of the
// user comes any more.
type writes struct {
	mu  sync.Mutex
	all map[string]map[*write]struct{} // guarded by mu; by user
}

type write struct {
	topic string
	ended chan struct{}
}

// begin notes a publish until end is called.
func (w *writes) begin(user, topic string) (end func()) {
	one := &write{topic, make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[user] == nil {
		w.all[user] = make(map[*write]struct{})
	}
	w.all[user][one] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.all[user], one); len(w.all[user]) == 0 {
			delete(w.all, user)
		}
		close(one.ended)
	}
}

// wait returns when the publishes of a user to a topic that began before have ended. With
// an empty topic it waits for those to all. It returns false if ctx ended first.
func (w *writes) wait(ctx context.Context, user, topic string) bool {
	for _, ended := range w.of(user, topic) {
		select {
		case <-ended:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (w *writes) of(user, topic string) (list []chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all[user] {
		if topic == "" || one.topic == topic {
			list = append(list, one.ended)
		}
	}
	return list
}

// ending runs end as a turn of c, which takes rights of its user away: in a topic; empty: in
// all. It returns at once. What it returns is closed when that is done, and no message that
// was let through before is on its way to the store. Any goroutine.
func (c *conn) ending(topic string, end func()) <-chan struct{} {
	turn, ended := make(chan struct{}), make(chan struct{})
	c.do(func() {
		defer close(turn)
		end()
	})
	go func() {
		defer close(ended)
		select {
		case <-turn:
		case <-c.ws.Done():
		}
		c.service.writes.wait(context.Background(), c.service.registry.userOf(c), topic) // each ends by itself
	}()
	return ended
}

// takenKept is longer than a hook may take.
const takenKept = 5 * time.Minute

// taking knows from which users rights were taken away lately. An answer of the backend to
// a question from before that is not used.
type taking struct {
	mu   sync.Mutex
	last map[string]time.Time // guarded by mu; by user
}

// note takes rights of a user away now.
func (t *taking) note(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for other, at := range t.last {
		if now.Sub(at) > takenKept {
			delete(t.last, other)
		}
	}
	t.last[user] = now
}

// since reports whether rights of a user were taken away since then.
func (t *taking) since(user string, then time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, taken := t.last[user]
	return taken && !then.After(at)
}
