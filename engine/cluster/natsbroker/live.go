package natsbroker

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// Reasons for a gap.
var (
	// ErrReconnected: the connection to NATS was lost and made anew.
	ErrReconnected = errors.New("natsbroker: the connection was lost and made anew")
	// ErrSilent: the connection was up and delivered nothing.
	ErrSilent = errors.New("natsbroker: the connection delivers nothing; it is made anew")
)

// follower is one topic that somebody follows.
type follower struct {
	topic    string
	listener cluster.Listener
}

// Follow implements cluster.Broker, by a subscription to what the stream of the
// topic republishes, in any epoch.
func (b *Broker) Follow(topic string, l cluster.Listener) (func(), error) {
	if err := cluster.CheckTopic(topic); err != nil {
		return nil, err
	}
	b.mu.Lock() // until the follower is known, deliver waits
	defer b.mu.Unlock()
	if b.closed {
		return nil, cluster.ErrClosed
	}
	lane := b.lanes[b.next%len(b.lanes)]
	b.next++
	sub, err := b.nc.ChanSubscribe(b.shardOf(topic).live("*", tokenOf(topic)), lane)
	if err != nil {
		return nil, unavailable(err)
	}
	b.followers[sub] = &follower{topic, l}
	var once sync.Once
	return func() {
		once.Do(func() {
			b.mu.Lock()
			delete(b.followers, sub)
			b.mu.Unlock()
			_ = sub.Unsubscribe() // closed: nothing comes anyway
		})
	}, nil
}

// deliver hands on the messages of one lane.
func (b *Broker) deliver(lane <-chan *nats.Msg) {
	for {
		select {
		case m := <-lane:
			b.noticeReconnect() // before anything that came after it
			b.mu.RLock()
			f := b.followers[m.Sub]
			b.mu.RUnlock()
			if f != nil {
				f.deliver(m)
			}
		case <-b.ended:
			return
		}
	}
}

// deliver hands on one message that a stream republished. Any other is a gap.
func (f *follower) deliver(m *nats.Msg) {
	offset, err1 := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	prev, err2 := strconv.ParseUint(m.Header.Get(jetstream.LastSequenceHeader), 10, 64)
	stored, err3 := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err := errors.Join(err1, err2, err3); err != nil {
		f.listener.Gap(err)
		return
	}
	f.listener.Live(cluster.Message{
		Topic:  f.topic,
		Epoch:  epochOf(m.Subject),
		Offset: offset,
		Prev:   prev,
		ID:     idOf(m.Header.Get(jetstream.MsgIDHeader), offset),
		Time:   stored,
		Data:   m.Data,
	})
}

// noticeReconnect reports a gap of all topics if the connection was made anew.
// Whoever calls it meanwhile returns after that.
func (b *Broker) noticeReconnect() {
	if b.nc.Stats().Reconnects == b.reconnects.Load() {
		return
	}
	b.gapping.Lock()
	defer b.gapping.Unlock()
	if now := b.nc.Stats().Reconnects; now != b.reconnects.Load() {
		b.gap(ErrReconnected)
		b.reconnects.Store(now)
	}
}

// gap reports a gap of all topics.
func (b *Broker) gap(reason error) {
	b.lastGap.Store(time.Now().UnixNano())
	b.mu.RLock()
	all := make([]*follower, 0, len(b.followers))
	for _, f := range b.followers {
		all = append(all, f)
	}
	b.mu.RUnlock()
	for _, f := range all {
		f.listener.Gap(reason)
	}
	if b.config.OnGap != nil {
		b.config.OnGap(reason)
	}
}

// onError is called by the client for what it dropped, among others.
func (b *Broker) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	if sub == nil || !errors.Is(err, nats.ErrSlowConsumer) {
		return
	}
	b.mu.RLock()
	f := b.followers[sub]
	b.mu.RUnlock()
	if f == nil {
		return
	}
	f.listener.Gap(err)
	if b.config.OnGap != nil {
		b.config.OnGap(err)
	}
}
