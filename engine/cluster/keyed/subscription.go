package keyed

import (
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/internal/mirror"
)

// Value is the value of a key.
type Value struct {
	Key  string
	Data string
	// Gone: the key has no value any more. You may not have heard of it before. A key that
	// came and went between two calls of Next is left out mostly.
	Gone bool
	// Set is when it was set, by the clock of the node that did, or that of another of
	// which it knows that it is ahead.
	Set time.Time
}

// Batch is what Next returns.
type Batch struct {
	// Values are those that changed, each key once with its latest value.
	Values []Value
	// Reset: forget what you have. These are the first of all values there are.
	Reset bool
	// More: there are more now than the cap allows. notify is called when it does.
	More bool
}

// Subscription is one subscriber of a topic. It holds no values: Next takes the
// latest ones of the node. Its methods may be called by any goroutine.
type Subscription struct {
	// Immutable.
	k      *Keyed
	topic  *mirror.Topic
	board  *board
	notify func()

	// Guarded by the mutex of the group.
	there     uint64 // the last change that Next returned, of keys that have a value
	gone      uint64 // the same of keys that have none any more
	begun     bool   // Next was called
	lost      bool   // a key that it has is gone, and the board has forgotten it
	waiting   bool   // notify is to be called
	closed    bool
	allowance int64 // values, in parts of a second
	refilled  time.Time
}

// Subscribe subscribes to a topic. notify is called, at most every Config.Every, when
// there is something for Next that was not there, or not allowed, when it was called
// last. It is called on one goroutine of the Keyed and must not block; it may be nil.
// The values of other nodes come within moments.
func (k *Keyed) Subscribe(topic string, notify func()) (*Subscription, error) {
	if err := cluster.CheckTopic(topic); err != nil {
		return nil, err
	}
	if notify == nil {
		notify = func() {}
	}
	k.group.Lock()
	defer k.group.Unlock()
	t, err := k.group.Watch(topic)
	if err != nil {
		return nil, err
	}
	s := &Subscription{k: k, topic: t, board: boardOf(k, t), notify: notify, waiting: true}
	s.allowance, s.refilled = int64(k.config.Rate)*int64(time.Second), time.Now()
	s.board.subs[s] = struct{}{}
	s.board.plan()
	return s, nil
}

// Close ends the subscription. notify may still be called once, if it is under way.
func (s *Subscription) Close() {
	s.k.group.Lock()
	defer s.k.group.Unlock()
	if s.closed || s.k.group.Closed() {
		return
	}
	s.closed = true
	b := s.board
	delete(b.subs, s)
	if len(b.subs) == 0 {
		s.k.group.At(&b.tick, time.Time{})
		b.ticking = false
		b.dropFirst(b.gone.Len())
		s.k.renewAll(s.topic.Name, b)
	}
	s.topic.Unwatch()
}

// Next returns what changed since it was called last, at most max values if max is
// positive, and as many as the cap allows. It does not wait.
func (s *Subscription) Next(max int) (Batch, error) {
	s.k.group.Lock()
	defer s.k.group.Unlock()
	if s.closed || s.k.group.Closed() {
		return Batch{}, cluster.ErrClosed
	}
	s.refill(time.Now())
	allowed := int(s.allowance / int64(time.Second))
	if max <= 0 || max > allowed {
		max = allowed
	}
	b := s.board
	batch := Batch{Reset: !s.begun || s.lost}
	if batch.Reset {
		s.begun, s.lost, s.there, s.gone = true, false, 0, b.seq
	}
	batch.More = s.readGone(&batch, max) || s.readThere(&batch, max)
	s.allowance -= int64(len(batch.Values)) * int64(time.Second)
	s.waiting = true
	if batch.More {
		b.plan()
	}
	return batch, nil
}

// readGone adds the keys that it has and that are gone, and reports whether there are
// more than max. They are the first in a batch: no more of them can follow than values
// were read, so that values get their turn.
func (s *Subscription) readGone(batch *Batch, max int) (more bool) {
	for e := after(&s.board.gone, s.gone); e != nil; e = e.Next() {
		slot := e.Value.(*slot)
		if s.misses(slot) {
			if len(batch.Values) >= max {
				return true
			}
			batch.Values = append(batch.Values, Value{Key: slot.key, Gone: true})
		}
		s.gone = slot.changed
	}
	s.gone = s.board.seq
	return false
}

// readThere adds the values that changed, up to max, and reports whether there are more.
func (s *Subscription) readThere(batch *Batch, max int) (more bool) {
	for e := after(&s.board.there, s.there); e != nil; e = e.Next() {
		if len(batch.Values) >= max {
			return true
		}
		slot := e.Value.(*slot)
		batch.Values = append(batch.Values, slot.value())
		s.there = slot.changed
	}
	s.there = s.board.seq
	return false
}

// misses reports whether a key that is gone was returned by Next, and that it is gone
// was not.
func (s *Subscription) misses(gone *slot) bool { return gone.came <= s.there && gone.changed > s.gone }

// news reports whether there is something for Next.
func (s *Subscription) news() bool {
	if last := s.board.there.Back(); s.lost || last != nil && last.Value.(*slot).changed > s.there {
		return true
	}
	for e := after(&s.board.gone, s.gone); e != nil; e = e.Next() {
		if s.misses(e.Value.(*slot)) {
			return true
		}
	}
	s.there, s.gone = s.board.seq, s.board.seq
	return false
}

// State returns the values that Next has returned, as they are now, those that changed last
// first: up to max of them, with keys and data of so many bytes. More: there are others. If
// several share a subscription, give it to one who joins: the batches that follow have all
// that changes.
func (s *Subscription) State(max, bytes int) (values []Value, more bool) {
	s.k.group.Lock()
	defer s.k.group.Unlock()
	if !s.begun || s.closed {
		return nil, false
	}
	for e := s.board.there.Back(); e != nil; e = e.Prev() {
		slot := e.Value.(*slot)
		if slot.came > s.there {
			continue
		}
		v := slot.value()
		if bytes -= len(v.Key) + len(v.Data); bytes < 0 || len(values) == max {
			return values, true
		}
		values = append(values, v)
	}
	return values, false
}

// refill gives the subscriber what it may get since the last time, for one second at
// most.
func (s *Subscription) refill(now time.Time) {
	rate := int64(s.k.config.Rate)
	passed := min(now.Sub(s.refilled), time.Second)
	s.allowance = min(s.allowance+rate*int64(passed), rate*int64(time.Second))
	s.refilled = now
}
