package engine

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// Relay carries the topics of a Server to other servers: it sends them what is published
// here, and calls Deliver for what is published there, and Gap where some of that may be
// missing. Set Server.Relay before the first method of the server is called. Its methods
// may be called by any goroutine, loops among them, at the same time.
type Relay interface {
	// TopicOpened is called when a topic gets its first subscriber of this server, before
	// Subscribe returns. TopicClosed is called when it has lost its last one. Both are
	// called with locks held, for one topic in the order of the changes: note the change,
	// and neither block nor call the server.
	TopicOpened(topic string)
	TopicClosed(topic string)

	// Publish is called for each publish of the server, of a Topic and of a WebSocket,
	// after its delivery to the subscribers of this server, by the goroutine that
	// publishes: do not block. m has Op and Data, also where Prepared was published. Data
	// may be kept, and must not be changed. The publisher gets the error as ErrRelay.
	Publish(topic string, m Message) error
}

// publishRelayed is Publish with a Relay, to all but the connection that from holds here;
// from may be nil.
func (s *Server) publishRelayed(topic string, m Message, from *atomic.Pointer[fanout.Member]) (Delivery, error) {
	if m.Prepared == nil { // one frame for the subscribers here and for the relay
		p, err := Prepare(m.Op, m.Data)
		if err != nil {
			return Delivery{}, err
		}
		m.Prepared = p
	}
	d, err := s.deliver(topic, m, from)
	if err != nil && err != ErrBackpressure { // which is partial
		return d, err
	}
	p := m.Prepared
	return d, errors.Join(err, s.callRelay(topic, Message{Op: p.op, Data: p.payload, Key: m.Key, Retain: m.Retain}))
}

func (s *Server) callRelay(topic string, m Message) error {
	if err := s.Relay.Publish(topic, m); err != nil {
		return fmt.Errorf("%w: %w", ErrRelay, err)
	}
	return nil
}

// Gap has OnGap called for every subscriber of topic, with 0 for the number of messages,
// before it gets anything that is published from now on: a Relay may have missed some that
// other servers published. It does not wait. Any goroutine.
func (s *Server) Gap(topic string) {
	if !s.up.Load() {
		return
	}
	h := s.settings.hub
	if t := h.Find(topic); t != nil {
		h.MarkGap(t)
	}
}
