package service

import (
	"sync"
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
	c := keyed.Config{Name: name, Lifetime: lifetime, MaxOwned: maxOwned, MaxValue: maxValue}
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
	feeds    *feeds[*sharedValues]
}

func (s *Service) newKind(name string, lifetime time.Duration, values *keyed.Keyed) *kind {
	k := &kind{name: name, lifetime: lifetime, values: values}
	k.feeds = newFeeds(func(topic string) (*sharedValues, error) { return k.watch(s, topic) })
	return k
}

const (
	// maxOwned is how many keys of a kind one user has in a topic, by one node.
	maxOwned = 16
	// maxValue is the size of a value, in bytes.
	maxValue = 4096
	// maxState and stateBytes bound the values in the answer to a subscribe.
	maxState   = 500
	stateBytes = 64 << 10
)

// sharedValues are the values of a topic, for all subscribers of this node.
type sharedValues struct {
	kind *kind               // immutable
	sub  *keyed.Subscription // immutable

	mu    sync.Mutex
	known *protocol.KeyedSet // of sub, since it was read last; nil: not made. Guarded by mu
}

// watch shares what changes in a topic.
func (k *kind) watch(s *Service, topic string) (*sharedValues, error) {
	v := &sharedValues{kind: k}
	ready := make(chan struct{})
	defer close(ready)
	var err error
	v.sub, err = k.values.Subscribe(topic, func() {
		<-ready
		batch, err := v.read()
		if err == nil && (batch.Reset || len(batch.Values) > 0) {
			s.share(k.name, topic, &protocol.Values{Topic: topic, Kind: k.name, Reset: batch.Reset, Values: valuesOf(batch.Values)})
		}
	})
	if err == nil {
		_, err = v.read() // who joins has it by state
	}
	return v, err
}

// Close ends it.
func (v *sharedValues) Close() { v.sub.Close() }

// read reads what changed. It is shared afterwards: a state of before is for those who get
// it then.
func (v *sharedValues) read() (keyed.Batch, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	batch, err := v.sub.Next(0)
	v.known = nil
	return batch, err
}

// state has the values that were read so far, for one who joins. What changes after that is
// shared later. It is made once for all who join meanwhile, who must not change it.
func (v *sharedValues) state() protocol.KeyedSet {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		all, more := v.sub.State(maxState, stateBytes)
		v.known = &protocol.KeyedSet{Kind: v.kind.name, Lifetime: v.kind.lifetime.Milliseconds(), Values: valuesOf(all), More: more}
	}
	return *v.known
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
	return answer(k.values.SetFor(b.conn.user, topic, key, data))
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
