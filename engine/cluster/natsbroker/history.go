package natsbroker

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// stale is how old what a stream said may be where an older answer is as true.
const stale = 2 * time.Second

// Head implements cluster.Broker. It asks the leader for the last message of the
// topic. Without one it asks for the state of the stream too. The leader has to have heard of
// the other servers a moment ago, otherwise the error is cluster.ErrUnavailable.
func (b *Broker) Head(ctx context.Context, topic string) (cluster.Head, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	s := b.shardOf(topic)
	for {
		since := time.Now().Add(-stale)
		if gap := time.Unix(0, b.lastGap.Load()); gap.After(since) {
			since = gap // the store may be another
		}
		before, err := s.ask(ctx, since)
		if err != nil {
			return cluster.Head{}, err
		}
		last, err := s.get(ctx, leaderGet{LastFor: s.stored(before.epoch, tokenOf(topic))})
		if err != nil {
			return cluster.Head{}, err
		}
		if time.Since(before.asked) > lease {
			continue // this process, or that server, was stopped: another may lead by now
		}
		if last != nil {
			return cluster.Head{
				Position: last.message(topic).Position(),
				Through:  max(before.last, last.Sequence),
				First:    last.Sequence,
			}, nil
		}
		now, err := s.ask(ctx, time.Now())
		if err != nil {
			return cluster.Head{}, err
		}
		if now.epoch == before.epoch {
			return cluster.Head{
				Position: cluster.Position{Epoch: now.epoch, Offset: before.last},
				Through:  before.last,
				First:    now.first,
			}, nil
		}
	}
}

// Read implements cluster.Broker, by one Direct Get. Which replica answers is
// NATS's choice.
func (b *Broker) Read(ctx context.Context, topic string, from uint64, limit cluster.Budget) ([]cluster.Message, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	s := b.shardOf(topic)
	subject := s.stored(s.state.Load().epoch, tokenOf(topic))
	page, _, err := b.batch(ctx, s, subject, topic, from, limit)
	if err != nil {
		return nil, err
	}
	if len(page) == 0 || page[0].Offset != from {
		if err := s.missing(ctx, subject, from); err != nil {
			return nil, err
		}
	}
	return limit.Take(page), nil
}

// batch is one Direct Get: messages from an offset on, and whether the replica that
// answered had more.
func (b *Broker) batch(ctx context.Context, s *shard, subject, topic string, from uint64, limit cluster.Budget) (page []cluster.Message, more bool, err error) {
	answers, err := jetstreamext.GetBatch(ctx, b.js, s.stream(), limit.Messages,
		jetstreamext.GetBatchSubject(subject),
		jetstreamext.GetBatchSeq(max(from, 1)),
		jetstreamext.GetBatchMaxBytes(limit.Bytes))
	if err != nil {
		return nil, false, unavailable(err)
	}
	none := false
	for raw, err := range answers {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			none = true
			break
		}
		if err != nil {
			return nil, false, unavailable(err)
		}
		m := messageOf(raw, topic)
		if len(page) > 0 {
			m.Prev = page[len(page)-1].Offset
		}
		if prev, err := strconv.ParseUint(raw.Header.Get(jetstream.LastSequenceHeader), 10, 64); err != nil || prev != m.Prev {
			return nil, false, unavailable(errors.New("an answer has a hole"))
		}
		more = raw.Header.Get("Nats-Num-Pending") != "0"
		page = append(page, m)
	}
	if len(page) == 0 && !none { // the iterator ends without an error when time is over
		return nil, false, unavailable(errors.New("no answer in time"))
	}
	return page, more, nil
}

func messageOf(raw *jetstream.RawStreamMsg, topic string) cluster.Message {
	return cluster.Message{
		Topic:  topic,
		Epoch:  epochOf(raw.Subject),
		Offset: raw.Sequence,
		ID:     idOf(raw.Header.Get(jetstream.MsgIDHeader), raw.Sequence),
		Time:   raw.Time,
		Data:   raw.Data,
	}
}

// missing returns ErrBehind if the leader has the message that was not in an
// answer.
func (s *shard) missing(ctx context.Context, subject string, offset uint64) error {
	if offset == 0 {
		return nil
	}
	m, err := s.get(ctx, leaderGet{Seq: offset})
	if err == nil && m != nil && m.Subject == subject {
		return cluster.ErrBehind
	}
	return err
}

// Intact implements cluster.Broker, by the state of the stream: its first message
// and how many the topic has.
func (b *Broker) Intact(ctx context.Context, topic string, after uint64) (bool, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	s := b.shardOf(topic)
	asked := time.Now()
	subject := s.stored(s.state.Load().epoch, tokenOf(topic))
	info, err := s.open(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return false, err
	}
	now := s.learn(info, asked)
	if subject != s.stored(now.epoch, tokenOf(topic)) {
		return false, cluster.ErrBehind
	}
	return now.first <= after+1 && info.State.Subjects[subject] < uint64(now.perTopic), nil
}
