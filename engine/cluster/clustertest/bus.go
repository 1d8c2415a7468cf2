package clustertest

import (
	"slices"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// MaxSend is the size of a message on the bus at most, that of NATS.
const MaxSend = 1 << 20

var _ cluster.Bus = (*Conn)(nil)

// ear is one receiver on the bus.
type ear struct{ receiver cluster.Receiver }

// Traffic is what was sent on the bus.
type Traffic struct {
	Messages, Bytes int // sent
	Delivered       int // messages, to all receivers
}

// Traffic returns what was sent on the buses of this store so far.
func (s *Store) Traffic() Traffic {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.traffic
}

// Send implements cluster.Bus, with the faults of live messages.
func (c *Conn) Send(ch cluster.Channel, data []byte) error {
	if err := ch.Check(); err != nil {
		return err
	}
	if len(data) > MaxSend {
		return cluster.ErrTooLarge
	}
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.closed {
		return cluster.ErrClosed
	}
	if c.cut || s.down {
		return cluster.ErrUnavailable
	}
	s.traffic.Messages++
	s.traffic.Bytes += len(data)
	data = slices.Clone(data)
	for _, other := range s.conns {
		if other != c {
			other.hear(ch, data)
		}
	}
	return nil
}

// hear delivers what another node has sent. Under the store's mutex.
func (c *Conn) hear(ch cluster.Channel, data []byte) {
	s, faults := c.store, c.store.options.Faults
	for _, e := range c.ears[ch] {
		if c.cut || s.chance(faults.Lose) {
			continue
		}
		c.tell(ch, e, data)
		if s.chance(faults.Repeat) {
			c.tell(ch, e, data)
		}
	}
}

// tell delivers data to e after a delay, in no order if there is one, otherwise
// in that of sending. Under the store's mutex.
func (c *Conn) tell(ch cluster.Channel, e *ear, data []byte) {
	s := c.store
	s.traffic.Delivered++
	receive := func() {
		s.mu.Lock()
		listens := !c.cut && slices.Contains(c.ears[ch], e)
		s.mu.Unlock()
		if listens {
			e.receiver.Receive(data)
		}
	}
	if limit := s.options.Faults.Delay; limit > 0 {
		time.AfterFunc(time.Duration(s.random.Int64N(int64(limit))), receive)
		return
	}
	c.waiting = append(c.waiting, receive)
	if len(c.waiting) == 1 {
		go c.tellAll()
	}
}

// tellAll delivers what waits, in order.
func (c *Conn) tellAll() {
	for {
		c.store.mu.Lock()
		waiting := slices.Clone(c.waiting)
		c.store.mu.Unlock()
		for _, receive := range waiting {
			receive()
		}
		c.store.mu.Lock()
		c.waiting = slices.Delete(c.waiting, 0, len(waiting))
		done := len(c.waiting) == 0
		c.store.mu.Unlock()
		if done {
			return
		}
	}
}

// Listen implements cluster.Bus.
func (c *Conn) Listen(ch cluster.Channel, r cluster.Receiver) (func(), error) {
	if err := ch.Check(); err != nil {
		return nil, err
	}
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.closed {
		return nil, cluster.ErrClosed
	}
	e := &ear{r}
	c.ears[ch] = append(slices.Clone(c.ears[ch]), e)
	var once sync.Once
	return func() { once.Do(func() { c.unlisten(ch, e) }) }, nil
}

func (c *Conn) unlisten(ch cluster.Channel, e *ear) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(c.ears[ch]), func(f *ear) bool { return f == e })
	if len(left) > 0 {
		c.ears[ch] = left
	} else {
		delete(c.ears, ch)
	}
}

// Listened is the number of channels that this connection listens to.
func (c *Conn) Listened() int {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	return len(c.ears)
}

// Close ends the connection: nothing is sent or delivered any more.
func (c *Conn) Close() {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	c.closed = true
	clear(c.ears)
	clear(c.followers)
	s.conns = slices.DeleteFunc(slices.Clone(s.conns), func(other *Conn) bool { return other == c })
}
