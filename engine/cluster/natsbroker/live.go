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
	// ErrSilent: nothing was delivered for a while. The connection was up, or is being made
	// anew.
	ErrSilent = errors.New("natsbroker: the connection delivers nothing; it is made anew")
)

// subscriber takes what comes by one subscription. Its methods do not block.
type subscriber interface {
	deliver(m *nats.Msg)
	gap(reason error)
}

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
	s := b.shardOf(topic)
	left := s.followed()
	stop, err := b.subscribe(s.live("*", tokenOf(topic)), b.lanes, &follower{topic, l})
	if err != nil {
		left()
		return nil, err
	}
	var once sync.Once
	return func() { once.Do(func() { left(); stop() }) }, nil
}

// subscribe delivers the messages of a subject to f, by one of the lanes.
func (b *Broker) subscribe(subject string, lanes []chan *nats.Msg, f subscriber) (func(), error) {
	b.mu.Lock() // until the subscriber is known, deliver waits
	defer b.mu.Unlock()
	if b.closed {
		return nil, cluster.ErrClosed
	}
	lane := lanes[b.next%len(lanes)]
	b.next++
	sub, err := b.nc.ChanSubscribe(subject, lane)
	if err != nil {
		return nil, unavailable(err)
	}
	b.subscribers[sub] = f
	var once sync.Once
	return func() {
		once.Do(func() {
			b.mu.Lock()
			delete(b.subscribers, sub)
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
			f := b.subscribers[m.Sub]
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

func (f *follower) gap(reason error) { f.listener.Gap(reason) }

// noticeReconnect reports a gap of all topics and channels if the connection was made anew.
// Whoever calls it meanwhile returns after that.
func (b *Broker) noticeReconnect() {
	if b.attempts.Load() != b.noticed.Load() && b.notice() {
		b.onGap(ErrReconnected)
	}
}

// notice reports a gap, and that it did, if the connection was made anew.
func (b *Broker) notice() bool {
	b.gapping.Lock()
	defer b.gapping.Unlock()
	attempts := b.attempts.Load()
	up := b.nc.IsConnected() // by all attempts so far, or a later one
	now := b.nc.Stats().Reconnects
	isNew := now != b.reconnects
	if isNew {
		b.tellGap(ErrReconnected, everybody)
		b.reconnects = now
	}
	if up {
		b.noticed.Store(attempts)
	}
	return isNew
}

// gap reports a gap of all topics and channels.
func (b *Broker) gap(reason error) {
	b.gapping.Lock()
	b.tellGap(reason, everybody)
	b.gapping.Unlock()
	b.onGap(reason)
}

func everybody(subscriber) bool { return true }

// onGap calls that of the Config.
func (b *Broker) onGap(reason error) {
	if b.config.OnGap != nil {
		b.config.OnGap(reason)
	}
}

// tellGap reports a gap to subscribers. Under gapping.
func (b *Broker) tellGap(reason error, to func(subscriber) bool) {
	b.lastGap.Store(time.Now().UnixNano())
	b.mu.RLock()
	all := make([]subscriber, 0, len(b.subscribers))
	for _, f := range b.subscribers {
		if to(f) {
			all = append(all, f)
		}
	}
	b.mu.RUnlock()
	for _, f := range all {
		f.gap(reason)
	}
}

// onError is called by the client for what it dropped, among others.
func (b *Broker) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	if sub == nil || !errors.Is(err, nats.ErrSlowConsumer) {
		return
	}
	b.mu.RLock()
	f := b.subscribers[sub]
	b.mu.RUnlock()
	if f == nil {
		return
	}
	f.gap(err)
	b.onGap(err)
}
