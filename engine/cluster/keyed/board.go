package keyed

import (
	"bytes"
	"container/list"
	"slices"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/internal/mirror"
)

// maxGone is how many keys without a value a topic remembers for subscribers that have
// not read that they are gone, or as many as there are values, if those are more: to
// begin anew is less to read then. The older half of them is forgotten at once.
const maxGone = 1024

// board is what a node knows of one topic. All of it is guarded by the mutex of the
// group.
type board struct {
	k     *Keyed
	slots map[string]*slot
	there list.List // of *slot with a value, in the order of their changes
	gone  list.List // of *slot without one, the same

	seq     uint64 // of the last change
	subs    map[*Subscription]struct{}
	tick    mirror.Task // notifies subscribers
	ticking bool
	ticked  time.Time // the last time
}

// slot is one key.
type slot struct {
	key     string
	values  []held // of nodes; one mostly
	shown   held   // the latest of them; the zero one is none
	came    uint64 // when it had a value first, of those that somebody may have read
	changed uint64 // when it was shown
	element *list.Element
}

// held is the value of one node.
type held struct {
	node  mirror.ID
	value string
}

// later reports whether h was set after other.
func (h held) later(other held) bool {
	a, b := decode(h.value).version, decode(other.value).version
	return a > b || a == b && bytes.Compare(h.node[:], other.node[:]) > 0
}

// value is what a subscriber gets of a slot that has one.
func (s *slot) value() Value {
	v := decode(s.shown.value)
	return Value{Key: s.key, Data: v.data, Set: time.UnixMicro(int64(v.version))}
}

func (h held) there() bool { return h.value != "" && !decode(h.value).gone }

// boardOf returns the board of a topic.
func boardOf(k *Keyed, t *mirror.Topic) *board {
	b, _ := t.Data.(*board)
	if b == nil {
		b = &board{k: k, slots: make(map[string]*slot), subs: make(map[*Subscription]struct{})}
		b.tick.Do = b.notify
		t.Data = b
	}
	return b
}

// change takes the value of a node, none if it is empty, and shows the latest.
func (b *board) change(key string, node mirror.ID, value string) {
	s := b.slots[key]
	if s == nil {
		s = &slot{key: key}
		b.slots[key] = s
	}
	s.put(held{node, value})
	var latest held
	for _, h := range s.values {
		if latest.value == "" || h.later(latest) {
			latest = h
		}
	}
	if latest != s.shown {
		was := s.shown
		s.shown = latest
		if was.there() != latest.there() || latest.there() && decode(was.value).data != decode(latest.value).data {
			b.show(s)
		}
	}
	b.tidy(s)
}

func (s *slot) put(h held) {
	for i := range s.values {
		if s.values[i].node == h.node {
			if h.value == "" {
				s.values = append(s.values[:i], s.values[i+1:]...)
			} else {
				s.values[i] = h
			}
			return
		}
	}
	if h.value != "" {
		s.values = append(s.values, h)
	}
}

// show notes a change for the subscribers.
func (b *board) show(s *slot) {
	b.seq++
	s.changed = b.seq
	if s.element == nil {
		s.came = b.seq
	}
	b.unlist(s)
	if s.shown.there() {
		s.element = b.there.PushBack(s)
	} else {
		s.element = b.gone.PushBack(s)
	}
	b.plan()
}

func (b *board) unlist(s *slot) {
	if s.element != nil { // it is in one of them
		b.there.Remove(s.element)
		b.gone.Remove(s.element)
		s.element = nil
	}
}

// shows reports whether the value of a node is shown to subscribers here, and is
// this one: to set it again changes nothing.
func (b *board) shows(key string, node mirror.ID, data []byte) bool {
	s := b.slots[key]
	return len(b.subs) > 0 && s != nil && s.shown.node == node && s.shown.there() && decode(s.shown.value).data == string(data)
}

// tidy forgets what has no value and what no subscriber needs to know of.
func (b *board) tidy(s *slot) {
	if s.element == nil {
		b.forget(s) // never shown
	}
	limit := max(maxGone, b.there.Len())
	switch {
	case len(b.subs) == 0:
		b.dropFirst(b.gone.Len())
	case b.gone.Len() > limit:
		b.dropFirst(b.gone.Len() - limit/2) // many at once: each subscriber is looked at
	}
}

// dropFirst forgets the first n keys that are gone. A subscriber that has read one of
// them, and not that it is gone, begins anew.
func (b *board) dropFirst(n int) {
	var behind []*Subscription
	for s := range b.subs {
		if n > 0 && !s.lost && s.gone < b.gone.Back().Value.(*slot).changed {
			behind = append(behind, s)
		}
	}
	for ; n > 0; n-- {
		dropped := b.gone.Front().Value.(*slot)
		behind = slices.DeleteFunc(behind, func(s *Subscription) bool {
			s.lost = s.misses(dropped)
			return s.lost
		})
		b.dropGone(dropped)
	}
}

// dropGone forgets that a key is gone.
func (b *board) dropGone(s *slot) {
	b.unlist(s)
	b.forget(s)
}

// forget drops a slot, unless some node has a value for it that is deleted.
func (b *board) forget(s *slot) {
	if len(s.values) == 0 {
		delete(b.slots, s.key)
	}
}

// plan has subscribers notified, Config.Every after the last time.
func (b *board) plan() {
	if b.ticking || len(b.subs) == 0 {
		return
	}
	b.ticking = true
	now := time.Now()
	at := b.ticked.Add(b.k.config.Every)
	if at.Before(now) {
		at = now
	}
	b.k.group.At(&b.tick, at)
}

// notify notifies those who have something to read, and drops what all have read.
func (b *board) notify(now time.Time) {
	b.ticking, b.ticked = false, now
	read := b.seq
	for s := range b.subs {
		if s.waiting && s.news() {
			s.waiting = false
			b.k.group.Call(s.notify)
		}
		if s.begun && !s.lost {
			read = min(read, s.gone)
		}
	}
	for e := b.gone.Front(); e != nil && e.Value.(*slot).changed <= read; e = b.gone.Front() {
		b.dropGone(e.Value.(*slot))
	}
}

// after returns the first slot of a list that changed behind seq.
func after(l *list.List, seq uint64) (first *list.Element) {
	for e := l.Back(); e != nil && e.Value.(*slot).changed > seq; e = e.Prev() {
		first = e
	}
	return first
}
