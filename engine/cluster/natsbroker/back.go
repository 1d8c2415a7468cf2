package natsbroker

import (
	"context"
	"errors"
	"slices"
	"sort"

	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// ReadBack implements cluster.Broker. NATS reads forward only, so a page begins at
// the guess, or where the distance of the last two messages says, and is kept if it
// reaches to. That is one Direct Get with a guess and two without. A guess that was
// too late or too early for the page to reach to costs another, for the message in
// front of to; this one is the page then. In that case, and where nothing is in front
// of to, the leader is asked for the message behind it (a single message of a known
// subject), which proves that nothing is between. So a page costs two Direct Gets and
// one message of the leader at most.
func (b *Broker) ReadBack(ctx context.Context, topic string, to, guess uint64, limit cluster.Budget) ([]cluster.Message, error) {
	if to == 0 {
		return nil, nil
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	s := b.shardOf(topic)
	r := backward{b: b, s: s, subject: s.stored(s.state.Load().epoch, tokenOf(topic)), topic: topic, to: to, limit: limit}
	return r.read(ctx, guess)
}

// backward is one call of ReadBack.
type backward struct {
	b              *Broker
	s              *shard
	subject, topic string
	to             uint64
	limit          cluster.Budget
	last           *cluster.Message // in front of to
	asked          bool             // last is known; nil: there is none
}

func (r *backward) read(ctx context.Context, guess uint64) ([]cluster.Message, error) {
	if guess == 0 || guess >= r.to {
		if err := r.findLast(ctx); err != nil {
			return nil, err
		}
		if r.last == nil {
			return r.single(ctx)
		}
		span := (r.to - r.last.Offset) * uint64(max(r.limit.Messages, 1))
		guess = r.last.Offset - min(span, r.last.Offset-1)
	}
	wide := cluster.Budget{Messages: 2*max(r.limit.Messages, 1) + 2, Bytes: 2 * max(r.limit.Bytes, 1)}
	page, more, err := r.b.batch(ctx, r.s, r.subject, r.topic, guess, wide)
	if err != nil {
		return nil, err
	}
	front := sort.Search(len(page), func(i int) bool { return page[i].Offset >= r.to })
	switch {
	case front == 0, front == len(page) && more:
		return r.single(ctx)
	case front == len(page): // the answer ends in front of to
		return r.complete(ctx, page)
	}
	kept := len(r.limit.TakeLast(page[:front]))
	if page[front].Offset == r.to {
		return page[front-kept : front+1], nil
	}
	return page[front-kept : front], nil
}

// complete returns a page that ends in front of to, with the message at to if there is
// one. The replica may lack that one, and others.
func (r *backward) complete(ctx context.Context, page []cluster.Message) ([]cluster.Message, error) {
	end := page[len(page)-1].Offset
	next, err := r.s.get(ctx, leaderGet{Seq: end + 1, NextFor: r.subject})
	switch page = r.limit.TakeLast(page); {
	case err != nil:
		return nil, err
	case next == nil || next.Sequence > r.to:
		return page, nil
	case next.Sequence < r.to:
		return nil, cluster.ErrBehind
	}
	m := *next.message(r.topic)
	m.Prev = end
	return append(slices.Clone(page), m), nil
}

// findLast finds the message in front of to.
func (r *backward) findLast(ctx context.Context) error {
	if r.asked || r.to == 1 {
		return nil
	}
	answers, err := jetstreamext.GetLastMsgsFor(ctx, r.b.js, r.s.stream(), []string{r.subject}, jetstreamext.GetLastMsgsUpToSeq(r.to-1))
	if err != nil {
		return unavailable(err)
	}
	for raw, err := range answers {
		if err != nil && !errors.Is(err, jetstreamext.ErrNoMessages) {
			return unavailable(err)
		}
		r.asked = true
		if err == nil {
			m := messageOf(raw, r.topic)
			r.last = &m
		}
	}
	if !r.asked {
		return unavailable(errors.New("no answer in time"))
	}
	return nil
}

// single returns the message in front of to, if there is one, and that at to, if
// there is one.
func (r *backward) single(ctx context.Context) ([]cluster.Message, error) {
	if err := r.findLast(ctx); err != nil {
		return nil, err
	}
	var page []cluster.Message
	from := uint64(1)
	if r.last != nil {
		page = append(page, *r.last)
		from = r.last.Offset + 1
	}
	next, err := r.s.get(ctx, leaderGet{Seq: from, NextFor: r.subject})
	switch {
	case err != nil:
		return nil, err
	case next == nil || next.Sequence > r.to:
		return page, nil
	case next.Sequence < r.to:
		return r.beyond(ctx)
	}
	m := *next.message(r.topic)
	if r.last != nil {
		m.Prev = r.last.Offset
	}
	return append(page, m), nil
}

// beyond returns the last message of the topic if to is behind it, as in a store
// that is older than the client. Otherwise the replica that was asked is behind.
func (r *backward) beyond(ctx context.Context) ([]cluster.Message, error) {
	last, err := r.s.get(ctx, leaderGet{LastFor: r.subject})
	switch {
	case err != nil:
		return nil, err
	case last == nil || last.Sequence >= r.to:
		return nil, cluster.ErrBehind
	}
	return []cluster.Message{*last.message(r.topic)}, nil
}
