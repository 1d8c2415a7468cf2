package service

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
)

// spaceShards is the number of streams of a namespace. Topics without one have more.
const spaceShards = 4

// spaces implements cluster.Broker. Each namespace has streams of its own, so that it
// keeps as many messages, and as long, as its rules say. It is immutable.
type spaces struct {
	plain *natsbroker.Broker            // of topics without a namespace
	named map[string]*natsbroker.Broker // of those that keep history
}

// space is what the streams of a namespace keep.
type space struct {
	name string // empty: topics without one
	size int
	age  time.Duration
	// shrink: messages over smaller limits than before are removed.
	shrink bool
}

// spacesOf are those that keep history, that without a name first.
func spacesOf(c *config.Config) []space {
	all := []space{{size: 1, age: time.Hour}}
	for _, name := range slices.Sorted(maps.Keys(c.Namespaces)) {
		n := c.Namespaces[name]
		switch {
		case n.HistorySize == 0 || n.HistoryAge == 0:
		case name == config.DefaultNamespace:
			all[0] = space{"", n.HistorySize, n.HistoryAge, n.HistoryShrink}
		default:
			all = append(all, space{name, n.HistorySize, n.HistoryAge, n.HistoryShrink})
		}
	}
	return all
}

// settings are those of the streams of a namespace.
func (s space) settings(of natsbroker.Config, duplicates time.Duration) natsbroker.Config {
	if s.name != "" {
		of.Prefix, of.Shards = "fanloop-ns-"+s.name, spaceShards
	}
	of.PerTopic, of.MaxAge, of.Duplicates = s.size, s.age, duplicates
	of.Change = natsbroker.ChangeLarger
	if s.shrink {
		of.Change = natsbroker.ChangeAll
	}
	return of
}

// add takes the broker of a namespace.
func (s *spaces) add(name string, b *natsbroker.Broker) {
	if name == "" {
		s.plain = b
		return
	}
	if s.named == nil {
		s.named = make(map[string]*natsbroker.Broker)
	}
	s.named[name] = b
}

func (s *spaces) of(topic string) *natsbroker.Broker {
	if b := s.named[names.Namespace(topic)]; b != nil {
		return b
	}
	return s.plain
}

// connected reports whether all reach NATS.
func (s *spaces) connected() bool {
	for _, b := range s.named {
		if !b.Connected() {
			return false
		}
	}
	return s.plain.Connected()
}

// quorum returns why a stream cannot store. Without a connection nobody knows.
func (s *spaces) quorum(ctx context.Context) error {
	if !s.connected() {
		return nil
	}
	for _, b := range s.named {
		if err := b.Quorum(ctx); err != nil {
			return err
		}
	}
	return s.plain.Quorum(ctx)
}

func (s *spaces) close() {
	for _, b := range s.named {
		b.Close()
	}
	if s.plain != nil {
		s.plain.Close()
	}
}

// Publish implements cluster.Broker.
func (s *spaces) Publish(ctx context.Context, topic, id string, data []byte) (cluster.Ack, error) {
	return s.of(topic).Publish(ctx, topic, id, data)
}

// Head implements cluster.Broker.
func (s *spaces) Head(ctx context.Context, topic string) (cluster.Head, error) {
	return s.of(topic).Head(ctx, topic)
}

// Read implements cluster.Broker.
func (s *spaces) Read(ctx context.Context, topic string, from uint64, limit cluster.Budget) ([]cluster.Message, error) {
	return s.of(topic).Read(ctx, topic, from, limit)
}

// ReadBack implements cluster.Broker.
func (s *spaces) ReadBack(ctx context.Context, topic string, to, guess uint64, limit cluster.Budget) ([]cluster.Message, error) {
	return s.of(topic).ReadBack(ctx, topic, to, guess, limit)
}

// Intact implements cluster.Broker.
func (s *spaces) Intact(ctx context.Context, topic string, after uint64) (bool, error) {
	return s.of(topic).Intact(ctx, topic, after)
}

// Heard implements cluster.Broker.
func (s *spaces) Heard(topic string) time.Time { return s.of(topic).Heard(topic) }

// Follow implements cluster.Broker.
func (s *spaces) Follow(topic string, l cluster.Listener) (func(), error) {
	return s.of(topic).Follow(topic, l)
}
