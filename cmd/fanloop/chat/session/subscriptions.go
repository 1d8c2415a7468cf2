package session

import (
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// topic is the subscription of one topic, from its subscribe to its end. There is one
// for each topic, that of the latest attempt.
type topic struct {
	name     string
	attempt  uint32
	pending  *protocol.Subscribe // until it is answered
	delivery Delivery            // nil: not open yet
	grant    *Grant              // of a topic token or a hook; nil: it adds nothing, or has ended
	ended    bool
	carries  feeds // what was asked for and allowed; from when it is being opened on
}

// open reports whether the client knows that it is subscribed.
func (t *topic) open() bool { return t != nil && t.pending == nil && !t.ended }

// hold has g in place of the grant that there was.
func (t *topic) hold(g *Grant) {
	t.grant.release()
	t.grant = g
}

// stop ends the delivery. What is opened later, for this attempt, is stopped then.
func (t *topic) stop() {
	if t.delivery != nil && !t.ended {
		t.delivery.Stop()
	}
	t.hold(nil)
	t.ended = true
}

// find returns the subscription of a topic, nil if there is none.
func (s *Session) find(name string) *topic {
	for _, t := range s.topics {
		if t.name == name {
			return t
		}
	}
	return nil
}

// drop ends the subscription of a topic. A subscribe that waits for its answer gets
// code.
func (s *Session) drop(t *topic, err error) {
	t.stop()
	for i, other := range s.topics {
		if other == t {
			s.topics = append(s.topics[:i], s.topics[i+1:]...)
			break
		}
	}
	if c := t.pending; c != nil {
		t.pending = nil
		s.answer(c, err)
	}
}

// Has reports whether a topic is subscribed or being opened.
func (s *Session) Has(topic string) bool { return s.find(topic) != nil }

func (s *Session) subscribe(c *protocol.Subscribe) {
	if c.Attempt <= s.attempt {
		s.fail(c, protocol.Stale)
		return
	}
	s.attempt = c.Attempt
	if old := s.find(c.Topic); old != nil {
		s.drop(old, protocol.Stale)
	}
	if len(s.topics) >= s.config.Limits.Topics {
		s.fail(c, protocol.TooManyTopics)
		return
	}
	if _, err := s.config.Rules().Namespace(c.Topic); err != nil { // nobody is asked about it
		s.answer(c, codeOf(err))
		return
	}
	t := &topic{name: c.Topic, attempt: c.Attempt, pending: c}
	s.topics = append(s.topics, t)
	s.waiting++
	s.backend.Authorize(s.who, c.Topic, c.Token, func(g *Grant, err error) {
		switch {
		case err != nil:
		case t.ended:
			g.release()
		default:
			err = s.mayOpen(t, g)
		}
		if err != nil || t.ended {
			s.waiting--
			s.failOpen(t, err)
			return
		}
		asked := s.allowed(t, *c)
		s.backend.Open(s.who, &asked, func() bool { return !t.ended }, func(o Opened, err error) {
			s.waiting--
			o.Answer.TTL = s.ttlOf(t.grant)
			s.openedTopic(t, o, err)
		})
	})
}

// mayOpen notes what was granted, and decides.
func (s *Session) mayOpen(t *topic, g *Grant) error {
	t.hold(g)
	return s.may(rules.DoSubscribe, t.name, "")
}

func (s *Session) failOpen(t *topic, err error) {
	if !t.ended {
		s.drop(t, err)
	}
}

// openedTopic answers the subscribe, and begins the delivery behind the answer.
func (s *Session) openedTopic(t *topic, o Opened, err error) {
	if err != nil {
		s.failOpen(t, err)
		return
	}
	// Rights may have ended while it was opened.
	if !t.ended {
		err = s.mayKeep(t)
	}
	if t.ended || err != nil {
		o.Delivery.Stop()
		s.failOpen(t, err)
		return
	}
	answer := o.Answer
	answer.Ref, answer.Topic, answer.Attempt = t.pending.Ref, t.name, t.attempt
	answer.State = stateOf(t.pending, t.carries, &answer)
	if !answer.More {
		t.carries &^= feedHistory // it is all in the answer
	}
	if s.out.Send(&answer) != nil {
		o.Delivery.Stop()
		s.failOpen(t, protocol.Internal)
		return
	}
	t.pending, t.delivery = nil, o.Delivery
	o.Delivery.Start()
}

func (s *Session) unsubscribe(c *protocol.Unsubscribe) {
	if t := s.find(c.Topic); t != nil && t.attempt == c.Attempt {
		s.drop(t, protocol.Stale)
	}
	if c.Ref != 0 {
		s.out.Send(&protocol.Unsubscribed{Ref: c.Ref, Topic: c.Topic, Attempt: c.Attempt})
	}
}

// Unsubscribe ends the subscription of a topic for a reason of the service's: the
// right was taken away, say. One that is being opened is refused for it. With an
// attempt other than 0, only that one is ended. It reports whether there was one.
func (s *Session) Unsubscribe(topic string, attempt uint32, err error) bool {
	t := s.find(topic)
	if t == nil || attempt != 0 && attempt != t.attempt {
		return false
	}
	told := t.open()
	s.drop(t, err)
	if told {
		fault := answerOf(nil, err)
		s.out.Send(&protocol.Unsubscribed{
			Topic: t.name, Attempt: t.attempt, Code: fault.Code, Retry: fault.Retry, Delay: fault.Delay, Message: fault.Message,
		})
	}
	return true
}
