package keyed

import (
	"bytes"
	"container/list"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/internal/mirror"
)

// maxGone is how many keys without a value a topic remembers for subscribers that
// have not read that they are gone. One that is further behind begins anew.
const maxGone = 1024

// board is what a node knows of one topic. All of it is guarded by the mutex of the
// group.
type board struct {
	k     *Keyed
	slots map[string]*slot
	there list.List // of *slot with a value, in the order of their changes
	gone  list.List // of *slot without one, the same

	seq       uint64 // of the last change
	forgotten uint64 // of the last change that was dropped from gone
	subs      map[*Subscription]struct{}
	tick      mirror.Task // notifies subscribers
	ticking   bool
	ticked    time.Time // the last time
}

// slot is one key.
type slot struct {
	key     string
	values  []held // of nodes; one mostly
	shown   held   // the latest of them; the zero one is none
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
	if len(b.subs) > 0 && b.gone.Len() <= maxGone {
		return
	}
	keep := maxGone
	if len(b.subs) == 0 {
		keep = 0
	}
	for b.gone.Len() > keep {
		b.dropGone(b.gone.Front().Value.(*slot))
	}
}

// dropGone forgets that a key is gone.
func (b *board) dropGone(s *slot) {
	b.forgotten = max(b.forgotten, s.changed)
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
		read = min(read, s.seen)
		if s.waiting && s.seen < b.seq {
			s.waiting = false
			b.k.group.Call(s.notify)
		}
	}
	for e := b.gone.Front(); e != nil && e.Value.(*slot).changed <= read; e = b.gone.Front() {
		b.dropGone(e.Value.(*slot))
	}
}

// after returns up to max slots that changed behind seq, in the order of their
// changes, and whether there are more.
func (b *board) after(seq uint64, max int) (slots []*slot, more bool) {
	first := func(l *list.List) *list.Element {
		var first *list.Element
		for e := l.Back(); e != nil && e.Value.(*slot).changed > seq; e = e.Prev() {
			first = e
		}
		return first
	}
	t, g := first(&b.there), first(&b.gone)
	for t != nil || g != nil {
		if len(slots) >= max {
			return slots, true
		}
		e := &t
		if t == nil || g != nil && g.Value.(*slot).changed < t.Value.(*slot).changed {
			e = &g
		}
		slots = append(slots, (*e).Value.(*slot))
		*e = (*e).Next()
	}
	return slots, false
}
