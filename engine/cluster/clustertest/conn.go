package clustertest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sort"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

var errGap = errors.New("clustertest: the connection was lost")

// Conn is one connection to a Store: the Broker and the Bus of one node.
type Conn struct {
	store *Store

	// Guarded by the store's mutex.
	cut       bool
	deaf      time.Time // when Deafen was called; zero: it was not
	closed    bool
	followers map[string][]*follower
	ears      map[cluster.Channel][]*ear // the slices are replaced, never changed
	waiting   []func()                   // deliveries on the bus, in order
}

type follower struct {
	listener cluster.Listener
}

var _ cluster.Broker = (*Conn)(nil)

// Connect returns a connection to the store.
func (s *Store) Connect() *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Conn{store: s, followers: make(map[string][]*follower), ears: make(map[cluster.Channel][]*ear)}
	s.conns = append(s.conns, c)
	return c
}

// Cut makes every request of this connection fail and loses what would be
// delivered to it: a gap.
func (c *Conn) Cut() {
	c.store.mu.Lock()
	c.cut = true
	c.store.mu.Unlock()
	c.gap()
}

// Heal ends Cut: a gap too, of what came meanwhile.
func (c *Conn) Heal() {
	c.store.mu.Lock()
	c.cut = false
	c.store.mu.Unlock()
	c.gap()
}

// gap reports a gap to all who follow a topic or listen to a channel.
func (c *Conn) gap() {
	var all []interface{ Gap(error) }
	c.store.mu.Lock()
	for _, followers := range c.followers {
		for _, f := range followers {
			all = append(all, f.listener)
		}
	}
	for _, ears := range c.ears {
		for _, e := range ears {
			all = append(all, e.receiver)
		}
	}
	c.store.mu.Unlock()
	for _, l := range all {
		l.Gap(errGap)
	}
}

// Deafen loses what would be delivered to this connection from now on, and nobody reports it:
// the process was stopped, or a server between lost its others. Requests are answered.
func (c *Conn) Deafen() {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.deaf = time.Now()
}

// Undeafen ends Deafen, by a gap.
func (c *Conn) Undeafen() {
	c.gap()
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.deaf = time.Time{}
}

// Heard implements cluster.Broker: now, and when it became deaf while it is.
func (c *Conn) Heard(string) time.Time {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	switch {
	case !c.deaf.IsZero():
		return c.deaf
	case c.cut || c.store.down:
		return time.Time{}
	}
	return time.Now()
}

// check returns the error of a request that fails. Under the store's mutex.
func (c *Conn) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s := c.store; c.cut || s.down || s.chance(s.options.Faults.Fail) {
		return cluster.ErrUnavailable
	}
	c.store.expire()
	return nil
}

// Publish implements cluster.Broker.
func (c *Conn) Publish(ctx context.Context, topic, id string, data []byte) (cluster.Ack, error) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.check(ctx); err != nil {
		return cluster.Ack{}, err
	}
	if id == "" {
		id = rand.Text()
	}
	at, duplicate := s.life.ids[topic+"\x00"+id]
	if !duplicate {
		m := s.append(topic, id, data)
		at = m.Position()
		for _, conn := range s.conns {
			conn.deliver(m)
		}
	}
	if s.chance(s.options.Faults.LoseAck) {
		return cluster.Ack{}, cluster.ErrUnavailable
	}
	return cluster.Ack{Position: at, Duplicate: duplicate}, nil
}

// deliver sends m to those who follow its topic. Under the store's mutex.
func (c *Conn) deliver(m cluster.Message) {
	s, faults := c.store, c.store.options.Faults
	for _, f := range c.followers[m.Topic] {
		if c.cut || !c.deaf.IsZero() || s.chance(faults.Lose) {
			continue
		}
		c.after(f, m)
		if s.chance(faults.Repeat) {
			c.after(f, m)
		}
	}
}

// after delivers m to f after a delay, in no order if there is one, unless the store
// is replaced before that. Under the store's mutex.
func (c *Conn) after(f *follower, m cluster.Message) {
	delay := time.Duration(0)
	if limit := c.store.options.Faults.Delay; limit > 0 {
		delay = time.Duration(c.store.random.Int64N(int64(limit)))
	}
	stores := c.store.stores
	time.AfterFunc(delay, func() {
		c.store.mu.Lock()
		follows := !c.cut && c.store.stores == stores && slices.Contains(c.followers[m.Topic], f)
		c.store.mu.Unlock()
		if follows {
			f.listener.Live(m)
		}
	})
}

// Head implements cluster.Broker.
func (c *Conn) Head(ctx context.Context, topic string) (cluster.Head, error) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.check(ctx); err != nil {
		return cluster.Head{}, err
	}
	head := cluster.Head{
		Position: cluster.Position{Epoch: s.life.epoch, Offset: s.life.last},
		Through:  s.life.last,
		First:    s.life.first,
	}
	if messages := s.life.topics[topic]; len(messages) > 0 {
		head.Position = messages[len(messages)-1].Position()
	}
	return head, nil
}

// Read implements cluster.Broker.
func (c *Conn) Read(ctx context.Context, topic string, from uint64, max cluster.Budget) ([]cluster.Message, error) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	kept := s.life.topics[topic]
	n := len(kept)
	if s.chance(s.options.Faults.Lag) {
		n -= s.random.IntN(min(n, 3) + 1)
	}
	i := sort.Search(len(kept), func(i int) bool { return kept[i].Offset >= from })
	if i < len(kept) && kept[i].Offset == from && i >= n {
		return nil, cluster.ErrBehind
	}
	page := slices.Clone(max.Take(kept[min(i, n):n]))
	for i := range page {
		page[i].Prev = 0
		if i > 0 {
			page[i].Prev = page[i-1].Offset
		}
	}
	return page, nil
}

// ReadBack implements cluster.Broker. With a guess that is too late, and where reads
// lag, it returns fewer messages than it could.
func (c *Conn) ReadBack(ctx context.Context, topic string, to, guess uint64, max cluster.Budget) ([]cluster.Message, error) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	kept := s.life.topics[topic]
	i := sort.Search(len(kept), func(i int) bool { return kept[i].Offset >= to })
	if s.chance(s.options.Faults.Lag) {
		if i < len(kept) && kept[i].Offset == to && s.random.IntN(2) == 0 {
			return nil, cluster.ErrBehind
		}
		max.Messages = 1
	}
	page := slices.Clone(max.TakeLast(kept[:i]))
	if guess > 0 && len(page) > 1 {
		first := sort.Search(len(page)-1, func(i int) bool { return page[i].Offset >= guess })
		page = page[first:]
	}
	if i < len(kept) && kept[i].Offset == to {
		page = append(page, kept[i])
	}
	for i := range page {
		page[i].Prev = 0
		if i > 0 {
			page[i].Prev = page[i-1].Offset
		}
	}
	return page, nil
}

// Intact implements cluster.Broker.
func (c *Conn) Intact(ctx context.Context, topic string, after uint64) (bool, error) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.check(ctx); err != nil {
		return false, err
	}
	kept := s.life.topics[topic]
	full := s.options.MaxPerTopic > 0 && len(kept) >= s.options.MaxPerTopic
	return s.life.first <= after+1 && (!full || kept[0].Offset <= after), nil
}

// Follow implements cluster.Broker.
func (c *Conn) Follow(topic string, l cluster.Listener) (func(), error) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.check(context.Background()); err != nil {
		return nil, err
	}
	f := &follower{listener: l}
	c.followers[topic] = append(c.followers[topic], f)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		left := slices.DeleteFunc(slices.Clone(c.followers[topic]), func(g *follower) bool { return g == f })
		if len(left) > 0 {
			c.followers[topic] = left
		} else {
			delete(c.followers, topic)
		}
	}, nil
}

// Followed is the number of topics that are followed by this connection.
func (c *Conn) Followed() int {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	return len(c.followers)
}
