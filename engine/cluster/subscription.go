package cluster

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Subscription is one subscriber's place in a topic. It holds no messages: Next
// takes them from what the node keeps, or from the broker's history.
//
// Its methods may be called by any goroutine, Next by one at a time.
type Subscription struct {
	// Immutable.
	feed   *feed
	notify func()

	// Owned by the caller of Next.
	at Position

	// Guarded by the feed's mutex.
	begun  uint64   // rounds of the feed when the position became what it is, if it is ahead
	resume bool     // the position was brought, and Next has returned nothing yet
	idle   bool     // Next has returned everything: notify is to be called
	seen   Position // the end of the chain then
	closed bool
}

// Batch is what Next returns.
type Batch struct {
	// Messages are the next ones of the topic, in order. They are shared: do not
	// change them.
	Messages []Message
	// Lost: there may be messages behind the last position that nobody gets. The
	// subscription goes on from Position, the end of the topic.
	Lost bool
	// Position is the place behind the batch: what a client brings to go on. It moves
	// only with messages that are in the batch, or with Lost.
	Position Position
	// More: there is more now. Otherwise notify is called when there is.
	More bool
}

// Subscribe follows a topic from a position on, or from its end if from is zero.
// It returns when the topic is followed and its end is known, which is that of the store, but
// for what is under way to this node: the store is asked if it was not heard for two seconds, as
// after the process was stopped. Whether the position is recovered is what the first Next says:
// its batch is Lost if not.
//
// notify is called when Next has returned everything and there is more, or the
// node is closed; once, until Next is called again. It runs on a goroutine of the
// broker or the node, and must not block. It may be nil.
func (n *Node) Subscribe(ctx context.Context, topic string, from Position, notify func()) (*Subscription, error) {
	s, err := n.Join(topic, from, notify)
	if err != nil {
		return nil, err
	}
	err = s.feed.opened(ctx)
	if err == nil {
		err = s.feed.current(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.settle()
	return s, nil
}

// Join is Subscribe that does not wait. Until the topic is followed and its end is
// known, Next waits for that, and Have returns an empty batch with the zero Position;
// notify is called then.
func (n *Node) Join(topic string, from Position, notify func()) (*Subscription, error) {
	if err := CheckTopic(topic); err != nil {
		return nil, err
	}
	if notify == nil {
		notify = func() {}
	}
	f, err := n.enter(topic)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	s := &Subscription{feed: f, notify: notify, at: from, begun: f.begun, resume: !from.IsZero()}
	f.subs[s] = struct{}{}
	f.wantOpen()
	return s, nil
}

// settle begins at the end of the topic if no position was given, and the end is known.
// Under the feed's mutex.
func (s *Subscription) settle() {
	if s.at.IsZero() && s.feed.open {
		s.at = s.feed.position()
	}
}

// Close ends the subscription. Next returns ErrClosed.
func (s *Subscription) Close() {
	f := s.feed
	f.mu.Lock()
	closed := s.closed
	s.closed = true
	delete(f.subs, s)
	f.mu.Unlock()
	if !closed {
		f.node.leave(f)
	}
}

// Position is the place behind what Next has returned so far.
func (s *Subscription) Position() Position { return s.at }

// Next returns the next messages, as many as there are within the budget, and
// without waiting if there are none. It waits for the broker only where the
// position is not in memory. After an error nothing is lost: call Next again.
func (s *Subscription) Next(ctx context.Context, max Budget) (Batch, error) {
	max = max.or(s.feed.node.config.Page)
	for {
		messages, where, err := s.look(max)
		if err != nil {
			return Batch{}, err
		}
		switch where {
		case unknown:
			if err := s.feed.opened(ctx); err != nil {
				return Batch{}, err
			}
		case inside:
			return s.take(messages, max), nil
		case before:
			messages, where, err = s.fetch(ctx)
			switch {
			case errors.Is(err, ErrBehind):
				if !sleep(ctx, firstRetry) {
					return Batch{}, ctx.Err()
				}
			case err != nil:
				return Batch{}, err
			case where == inside && len(messages) > 0:
				return s.take(messages, max), nil
			case where == foreign:
				return s.lose(), nil
			}
		case ahead: // the node is behind the client
			if err := s.feed.fresh(ctx); err != nil {
				return Batch{}, err
			}
		case foreign:
			return s.lose(), nil
		}
	}
}

// Have is Next of what is in memory: it never waits, and returns false where Next
// would have to ask the broker, or fails.
func (s *Subscription) Have(max Budget) (Batch, bool) {
	max = max.or(s.feed.node.config.Page)
	messages, where, err := s.look(max)
	switch {
	case err != nil:
		return Batch{}, false
	case where == unknown:
		return Batch{}, true
	case where == inside:
		return s.take(messages, max), true
	case where == foreign:
		return s.lose(), true
	}
	return Batch{}, false
}

// look finds the messages behind the position in memory. The place is ahead if the
// node may be behind the client, and foreign if it is not.
func (s *Subscription) look(max Budget) ([]Message, place, error) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.idle = false
	if s.closed || f.closed {
		return nil, 0, ErrClosed
	}
	if !f.open {
		s.idle, s.seen = true, Position{}
		return nil, unknown, nil
	}
	s.settle()
	messages, where := f.ring.after(s.at)
	switch {
	case where != ahead && where != foreign:
	case f.done > s.begun: // the node has heard from the broker since
		where = foreign
	default:
		where = ahead
	}
	newest := where == inside
	if messages, where = s.inMemory(messages, where); where == inside && newest && len(max.Take(messages)) == len(messages) {
		s.idle, s.seen = true, f.ring.end()
	}
	return messages, where, nil
}

// inMemory completes what the ring says of the position. Who comes back is sent to the store
// where messages in memory are over the limits of history. Under the feed's mutex.
func (s *Subscription) inMemory(messages []Message, where place) ([]Message, place) {
	f := s.feed
	if where == before {
		messages, where = f.older(s.at)
	}
	if s.resume && where == inside && len(f.retained(messages)) < len(messages) {
		return nil, before
	}
	return messages, where
}

// older finds the messages behind a position in front of the ring in what was read from
// history. The place is before where they have to be read, and foreign where nothing is
// kept. Under mu.
func (f *feed) older(at Position) ([]Message, place) {
	if at.ID != "" && f.gone.has(at.Offset) {
		return nil, foreign
	}
	if messages, where := f.old.after(at); where == inside && len(messages) > 0 {
		return messages, inside
	}
	return nil, before
}

// take moves the position behind the messages that are within the budget.
func (s *Subscription) take(messages []Message, max Budget) Batch {
	taken := max.Take(messages)
	if last := len(taken) - 1; last >= 0 {
		s.at = taken[last].Position()
	}
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.resume = false
	if s.at.Offset > f.ring.end().Offset {
		s.begun = f.begun // what was read from history may be ahead of the node
	}
	return Batch{Messages: taken, Position: s.at, More: !s.idle}
}

// lose moves the position to the end of the topic.
func (s *Subscription) lose() Batch {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.at, s.resume = f.position(), false
	return Batch{Lost: true, Position: s.at, More: true}
}

// fetch reads a page of history from the position on, as one reader of the topic
// at a time, and keeps it for those who come next. The place is inside with the
// messages behind the position, foreign if the message at the position is not
// kept, and before if somebody else's read may have brought what is needed.
func (s *Subscription) fetch(ctx context.Context) ([]Message, place, error) {
	f := s.feed
	select {
	case f.reading <- struct{}{}:
	default:
		select {
		case f.reading <- struct{}{}:
			<-f.reading
			return nil, before, nil
		case <-ctx.Done():
			return nil, before, ctx.Err()
		case <-f.ctx.Done():
			return nil, before, ErrClosed
		}
	}
	defer func() { <-f.reading }()
	f.mu.Lock()
	end := f.ring.end().Offset
	_, where := s.inMemory(f.ring.after(s.at))
	f.mu.Unlock()
	if where != before {
		return nil, before, nil // somebody has read it since the caller looked
	}
	page, err := f.node.read(ctx, f.topic, start(s.at), end)
	if err != nil {
		return nil, before, err
	}
	messages, where, err := s.connect(ctx, page)
	if err != nil || where != inside {
		if where == foreign && len(page) > 0 {
			f.miss(s.at, page[0].Offset)
		}
		return nil, where, err
	}
	return f.keep(s.at, messages)
}

// connect returns the messages of a page that was read from the position on, if
// they follow it.
func (s *Subscription) connect(ctx context.Context, page []Message) ([]Message, place, error) {
	if len(page) > 0 && page[0].Epoch != s.at.Epoch {
		return nil, before, s.feed.fresh(ctx) // a new epoch that the node has not heard of
	}
	if s.at.ID != "" {
		if len(page) == 0 || page[0].Position() != s.at {
			return nil, foreign, nil
		}
		return page[1:], inside, nil
	}
	if len(page) > 0 && page[0].Offset <= s.at.Offset {
		return nil, foreign, nil
	}
	intact, err := s.feed.node.intact(ctx, s.feed.topic, s.at.Offset)
	if err != nil || !intact {
		return nil, foreign, err
	}
	return page, inside, nil
}

// miss notes that nothing is kept from a position on up to the offset first, so that
// others with a position there are not looked for.
func (f *feed) miss(at Position, first uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.Epoch == f.ring.base.Epoch && at.Offset < first {
		f.gone = span{at.Offset, first}
	}
}

// keep puts messages that were read behind a position where they help others: in
// front of the ring if they reach it, otherwise into old.
func (f *feed) keep(at Position, messages []Message) ([]Message, place, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	base := f.ring.base
	if base.Epoch != at.Epoch {
		return nil, before, nil // reset meanwhile: look again
	}
	if len(messages) == 0 {
		if base.ID != "" {
			return nil, before, ErrBehind // the base is behind at, so the copy lacks it
		}
		f.ring.prepend(at, nil) // nothing between two places of an empty topic
		return nil, before, nil
	}
	chain := ring{base: at, messages: messages}
	if older := messages[:chain.find(base.Offset+1)]; len(older) > 0 && older[len(older)-1].Position() == base {
		f.ring.prepend(at, older)
	}
	for i := range messages {
		switch {
		case i > 0:
			messages[i].Prev = messages[i-1].Offset
		case at.ID != "":
			messages[i].Prev = at.Offset
		}
	}
	f.old.reset(at)
	f.old.messages = slices.Clone(f.old.limit.Take(messages)) // and not what else the page has
	return messages, inside, nil
}

// enter returns the feed of a topic, with one user more.
func (n *Node) enter(topic string) (*feed, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	f := n.feeds[topic]
	if f == nil {
		f = newFeed(n, topic)
		n.feeds[topic] = f
	}
	f.users++
	if f.linger != nil {
		f.linger.Stop()
		f.linger = nil
	}
	return f, nil
}

// leave takes one user from a feed, and forgets the topic when nobody has come
// back for a while.
func (n *Node) leave(f *feed) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f.users--
	if f.users > 0 || n.closed {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(n.config.Linger, func() {
		n.mu.Lock()
		over := f.linger == t && !n.closed
		if over {
			delete(n.feeds, f.topic)
		}
		n.mu.Unlock()
		if over {
			f.close()
		}
	})
	f.linger = t
}
