package live

import (
	"context"
	"errors"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// subscriber is one WebSocket in one topic. While it is live it has nothing but its
// place in the engine's topic; what it does otherwise, its turn says.
type subscriber struct {
	// Immutable.
	topic *topic
	ws    *engine.WebSocket

	next *subscriber // of ws, in another topic; guarded by the mutex of Topics

	turn

	// Guarded by the mutex of turn.
	joined   uint64 // number of the last publish before it became live
	catching *catching
}

// catching is where a subscriber is that is not live; nil while it is. Who has ended keeps
// it. The mutex of turn guards it.
type catching struct {
	at      cluster.Position // behind what was sent
	since   time.Time        // it has been catching up
	first   bool             // the first page is owed
	lost    bool             // it is not known where it was: the next page is a reset
	allowed bool             // Server.MaySubscribe lets it become live
}

func (s *subscriber) wake() { s.turn.wake(s.topic.topics.fast, s) }

// run sends pages until the queue is full or there are no more.
func (s *subscriber) run() {
	sub := s.begin()
	if sub == nil {
		return
	}
	fast := s.topic.topics.fast
	for range batchesPerTurn {
		if s.ws.Buffered() > s.ws.Limits().HighWater { // OnDrain follows
			s.rest(fast, s, false)
			return
		}
		b, ok := sub.Have(s.topic.topics.config.Page)
		if !ok {
			s.topic.ask(s)
			return
		}
		if b.Position.IsZero() { // not open yet
			s.rest(fast, s, false)
			return
		}
		if !s.send(b) {
			return
		}
		if b.More {
			continue
		}
		switch how, err := s.admit(); how {
		case behind, unasked:
		case refused:
			s.topic.topics.quit(s, err)
			return
		case admitted:
			return
		}
	}
	s.rest(fast, s, true)
}

// admit makes s live where it has everything, if the server allows it, which is asked
// once each time, without a lock.
func (s *subscriber) admit() (admission, error) {
	how, err := s.topic.admit(s)
	if how != unasked {
		return how, err
	}
	t := s.topic.topics
	if ask := t.server.MaySubscribe; ask != nil {
		if !call(s.ws, func() { err = ask(s.ws, s.topic.engine.Name()) }) {
			t.drop(s)
			return admitted, nil
		}
		if err != nil {
			return refused, err
		}
	}
	s.mu.Lock()
	s.catching.allowed = true
	s.mu.Unlock()
	return s.topic.admit(s)
}

// begin returns the subscription to read from; nil if there is nothing to do.
func (s *subscriber) begin() *cluster.Subscription {
	s.mu.Lock()
	if s.phase != queued {
		s.mu.Unlock()
		return nil
	}
	s.phase, s.again = running, false
	var err error
	if s.sub == nil {
		s.sub, err = s.topic.topics.node.Join(s.topic.name, s.catching.at, s.wake)
	}
	sub := s.sub
	s.mu.Unlock()
	if err != nil {
		s.topic.topics.over(err)
		return nil
	}
	return sub
}

// send sends a batch, and reports whether to go on.
func (s *subscriber) send(b cluster.Batch) bool {
	s.mu.Lock()
	first, reset := s.catching.first, b.Lost || s.catching.lost
	s.mu.Unlock()
	t := s.topic.topics
	if !first && !reset && len(b.Messages) == 0 {
		return true
	}
	frame, returned := s.encode(&Page{
		Topic: s.topic.name, WebSocket: s.ws, Messages: b.Messages, Position: b.Position, First: first, Reset: reset,
		More: b.More && !reset,
	})
	if !returned {
		return false
	}
	err, gone := s.write(frame, b.Position)
	switch {
	case gone:
		return false
	case err == nil:
		t.pages.Add(1)
		t.delivered.Add(uint64(len(b.Messages)))
		if reset {
			t.resets.Add(1)
		}
		return true
	case errors.Is(err, engine.ErrBackpressure), errors.Is(err, engine.ErrFragmentOpen):
		s.rest(t.fast, s, false) // OnDrain follows, or the sweep
	default:
		t.quit(s, err)
	}
	return false
}

// write sends a page that ends at a position, unless the subscription has ended: then
// nothing of it comes behind what Unsubscribe is followed by.
func (s *subscriber) write(frame engine.Message, at cluster.Position) (err error, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == ended {
		return nil, true
	}
	switch {
	case frame.Prepared != nil:
		err = s.ws.SendPrepared(frame.Prepared)
	case !isNothing(&frame):
		err = s.ws.Send(frame.Op, frame.Data)
	}
	if err == nil {
		s.catching.at, s.catching.first, s.catching.lost = at, false, false
		return nil, false
	}
	sub := s.sub
	s.sub = nil // read again from where s is
	sub.Close()
	return err, false
}

// end ends the subscription. Under the mutex of Topics.
func (s *subscriber) end() {
	top := s.topic
	top.mu.Lock()
	defer top.mu.Unlock()
	was := s.turn.end() == live
	if was {
		top.live--
		_ = s.ws.Unsubscribe(top.engine.Name()) // a connection of a server has topics
	}
	delete(top.abroad, s)
	top.topics.leaves(s, was)
}

// fall has s catch up from the message on that first marks; nil: nobody knows which
// it is.
func (s *subscriber) fall(first *mark) {
	top := s.topic
	top.mu.Lock()
	defer top.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != live || first != nil && (first.topic != top || first.number <= s.joined) {
		return // it is about an earlier subscription
	}
	s.catching = &catching{since: time.Now(), lost: first == nil}
	if first != nil {
		s.catching.at = first.before
	}
	top.live--
	s.phase, s.again = queued, false
	top.topics.slowed.Add(1)
	top.topics.falls(s, true)
	top.topics.fast.push(s)
}

// release has s run, which was ahead of a pump that will not come there.
func (s *subscriber) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == ahead {
		s.phase = queued
		s.topic.topics.fast.push(s)
	}
}

// lags reports whether s has been catching up for longer than it may. Time without an
// answer of the broker does not count.
func (s *subscriber) lags(now time.Time, within time.Duration) bool {
	unanswered := s.topic.unanswered()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == live || s.phase == ended {
		return false
	}
	if unanswered || s.catching.first {
		s.catching.since = now
	}
	return now.Sub(s.catching.since) > within
}

func (s *subscriber) place() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.catching.at.Offset
}

func (s *subscriber) ask(ctx context.Context) error {
	s.mu.Lock()
	sub := s.sub
	s.mu.Unlock()
	if sub == nil {
		return nil
	}
	b, err := sub.Next(ctx, s.topic.topics.config.Page)
	if err == nil {
		s.send(b)
	}
	s.topic.topics.closedNode(&s.turn, err)
	return err
}

func (s *subscriber) resumed()            { s.resume(s.topic.topics.fast, s) }
func (s *subscriber) phased(p phase) bool { return s.become(p) }
