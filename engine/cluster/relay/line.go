package relay

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// line gets what other servers publish in one topic.
type line struct {
	// Immutable.
	relay *Relay
	topic string

	// Owned by the goroutine of the relay.
	stop func()    // nil: the bus does not listen
	end  time.Time // when it stops; zero: there are subscribers

	// Guarded by mu, which is held during a delivery, so that it keeps the order.
	mu    sync.Mutex
	over  bool
	since time.Time // what was sent before is not missed, or reported as a gap
	heard []heard   // the servers that published
}

// heard is the last message of one server.
type heard struct {
	node, number uint64
	at           time.Time // when something came
	unsure       bool      // there was a gap since
	last         bool      // the server has said that this is its last one, and forgotten the topic
}

// close stops listening. Nothing is delivered when it has returned.
func (l *line) close() {
	if l.stop != nil {
		l.stop()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// Receive implements cluster.Receiver.
func (l *line) Receive(data []byte) {
	f, ok := parse(data)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.relay.closed.Load() {
		return
	}
	if !ok {
		l.relay.unreadable.Add(1)
		l.relay.server.Gap(l.topic)
		return
	}
	missing, old := l.follow(&f, time.Now())
	if missing {
		l.relay.holes.Add(1)
		l.relay.server.Gap(l.topic)
	}
	switch {
	case f.has(flagHead):
	case old:
		l.relay.repeated.Add(1)
	default:
		l.deliver(&f)
	}
}

// follow says whether messages in front of f are missing, of which no gap was reported, and
// whether f is not to be delivered, as it was, or is behind a later one.
func (l *line) follow(f *frame, now time.Time) (missing, old bool) {
	h := l.heardOf(f.node, now)
	h.at = now
	expected := h.number + 1
	if f.has(flagHead) {
		expected = h.number
	}
	if h.number > 0 && f.number < expected {
		return false, true
	}
	switch {
	case f.has(flagFirst): // the number says nothing of those before
		missing = h.number > 0 && !h.last
	case f.number > expected:
		missing = !h.unsure || f.age < now.Sub(l.since) // otherwise what is missing was sent before
	}
	h.last = f.has(flagLast) || h.last && f.number == h.number // the head before it may come behind it
	h.number, h.unsure = f.number, false
	return missing, false
}

// heardOf returns what was heard of a server. Of one that is new, anything may have been
// missed.
func (l *line) heardOf(node uint64, now time.Time) *heard {
	i := slices.IndexFunc(l.heard, func(h heard) bool { return h.node == node })
	if i < 0 {
		long := l.relay.config.Tail * tails[len(tails)-1] * 2 // by then a server has forgotten the topic
		l.heard = slices.DeleteFunc(l.heard, func(h heard) bool { return now.Sub(h.at) > long })
		l.heard = append(l.heard, heard{node: node, unsure: true})
		i = len(l.heard) - 1
	}
	return &l.heard[i]
}

// deliver gives a message to the subscribers of this server.
func (l *line) deliver(f *frame) {
	m := engine.Message{Op: engine.Text, Data: f.data, Key: f.key, Retain: f.has(flagRetain)}
	if f.has(flagBinary) {
		m.Op = engine.Binary
	}
	l.relay.received.Add(1)
	if _, err := l.relay.server.Deliver(l.topic, m); errors.Is(err, engine.ErrRetained) {
		m.Retain = false                          // there is no room here
		_, _ = l.relay.server.Deliver(l.topic, m) // who misses it has OnGap called
	}
}

// Gap implements cluster.Receiver.
func (l *line) Gap(error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.relay.closed.Load() {
		return
	}
	l.relay.gaps.Add(1)
	l.unsure(time.Now())
	l.relay.server.Gap(l.topic)
}

// unsure notes that what was sent so far may be missing, which is reported.
func (l *line) unsure(now time.Time) {
	l.since = now
	for i := range l.heard {
		l.heard[i].unsure = true
	}
}
