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
	// Gone: the key has no value any more. You may not have heard of it before.
	Gone bool
	// Set is when it was set, by the clock of the node that did.
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
	seen      uint64 // the last change that Next returned
	begun     bool   // Next was called
	base      uint64 // what was forgotten when it began, or began anew
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
		for b.gone.Len() > 0 {
			b.dropGone(b.gone.Front().Value.(*slot))
		}
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
	batch := Batch{Reset: !s.begun || s.seen < b.forgotten && s.base < b.forgotten}
	if batch.Reset {
		s.begun, s.seen, s.base = true, 0, b.forgotten
	}
	slots, more := b.after(s.seen, max)
	for _, slot := range slots {
		s.seen = slot.changed
		v := decode(slot.shown.value)
		switch {
		case slot.shown.there():
			batch.Values = append(batch.Values, Value{Key: slot.key, Data: v.data, Set: time.UnixMicro(int64(v.version))})
		case !batch.Reset:
			batch.Values = append(batch.Values, Value{Key: slot.key, Gone: true})
		}
	}
	if !more {
		s.seen = b.seq
	}
	s.allowance -= int64(len(slots)) * int64(time.Second)
	batch.More = more
	s.waiting = true
	if more {
		b.plan()
	}
	return batch, nil
}

// refill gives the subscriber what it may get since the last time, for one second at
// most.
func (s *Subscription) refill(now time.Time) {
	rate := int64(s.k.config.Rate)
	passed := min(now.Sub(s.refilled), time.Second)
	s.allowance = min(s.allowance+rate*int64(passed), rate*int64(time.Second))
	s.refilled = now
}
