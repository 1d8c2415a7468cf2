package service

import (
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
)

// lifetimes are those of the kinds of keyed values that there are.
var lifetimes = map[string]time.Duration{
	protocol.KindTyping: 6 * time.Second,
	protocol.KindRead:   24 * time.Hour,
	"cursor":            30 * time.Second,
}

// keyedConfig is how a kind works. How far others have read is not worth ten batches a
// second.
func keyedConfig(name string, lifetime time.Duration) keyed.Config {
	c := keyed.Config{Name: name, Lifetime: lifetime}
	if name == protocol.KindRead {
		c.Every = time.Second
		c.MaxKeys = shownReaders
	}
	return c
}

// kind is one kind of keyed values. It is immutable.
type kind struct {
	name     string
	lifetime time.Duration
	values   *keyed.Keyed
	feeds    *feeds[*keyed.Subscription]
}

func (s *Service) newKind(name string, lifetime time.Duration, values *keyed.Keyed) *kind {
	k := &kind{name: name, lifetime: lifetime, values: values}
	k.feeds = newFeeds(func(topic string) (*keyed.Subscription, error) { return k.watch(s, topic) })
	return k
}

// watch shares what changes in a topic.
func (k *kind) watch(s *Service, topic string) (sub *keyed.Subscription, err error) {
	ready := make(chan struct{})
	defer close(ready)
	sub, err = k.values.Subscribe(topic, func() {
		<-ready
		batch, err := sub.Next(0)
		if err == nil && (batch.Reset || len(batch.Values) > 0) {
			s.share(k.name, topic, &protocol.Values{Topic: topic, Kind: k.name, Reset: batch.Reset, Values: valuesOf(batch.Values)})
		}
	})
	if err == nil {
		_, err = sub.Next(0) // who joins has it by state
	}
	return sub, err
}

// maxState is how many values are in the answer to a subscribe.
const maxState = 500

// state has the values that were shared so far, for one who joins. What changes after
// that is shared later.
func (k *kind) state(sub *keyed.Subscription) protocol.KeyedSet {
	all := sub.State(maxState + 1)
	n := min(len(all), maxState)
	return protocol.KeyedSet{Kind: k.name, Lifetime: k.lifetime.Milliseconds(), Values: valuesOf(all[:n]), More: n < len(all)}
}

func valuesOf(all []keyed.Value) []protocol.Value {
	list := make([]protocol.Value, len(all))
	for i, v := range all {
		list[i].Key = v.Key
		if !v.Gone {
			list[i].Data = protocol.Data(v.Data)
		}
	}
	return list
}

// Set implements session.Backend.
func (b *backend) Set(topic, name, key string, data protocol.Data) error {
	k := b.service.kinds[name]
	switch {
	case k == nil:
		return protocol.Fail(nil, protocol.UnknownKind, "the topic has no keyed values of the kind "+name)
	case data == nil:
		return answer(k.values.Delete(topic, key))
	}
	return answer(k.values.Set(topic, key, data))
}

// Members implements session.Backend.
func (b *backend) Members(c *protocol.GetPresence, done func(*protocol.Members, error)) {
	m, err := b.service.membersOf(c)
	done(m, answer(err))
}

// membersOf is a page of the users of a topic.
func (s *Service) membersOf(c *protocol.GetPresence) (*protocol.Members, error) {
	watch, release, err := s.members.take(c.Topic)
	if err != nil {
		return nil, err
	}
	defer release()
	page, err := watch.Page(c.After, c.Limit+1)
	if err != nil {
		return nil, err
	}
	m := &protocol.Members{Count: watch.Count(), End: len(page) <= c.Limit}
	for _, one := range page[:min(c.Limit, len(page))] {
		m.Members = append(m.Members, protocol.Member{User: one.User, Connections: one.Connections})
	}
	return m, nil
}
