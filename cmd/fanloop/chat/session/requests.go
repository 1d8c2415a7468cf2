package session

import (
	"slices"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// publishing has the publishes that are under way.
type publishing struct {
	busy  []string            // the topics of those that the backend has
	queue []*protocol.Publish // those behind them
}

// publish stores one message of a topic after the other, so that they are stored in
// the order in which they came.
func (s *Session) publish(c *protocol.Publish) {
	s.waiting++
	if s.publishing == nil {
		s.publishing = new(publishing)
	}
	under := s.publishing
	if slices.Contains(under.busy, c.Topic) {
		under.queue = append(under.queue, c)
		return
	}
	under.busy = append(under.busy, c.Topic)
	s.publishNow(c)
}

func (s *Session) publishNow(c *protocol.Publish) {
	command := commandOf(c)
	if command == rules.DoPublish {
		s.store(c, command, "")
		return
	}
	// Who may not do it to own messages is refused before the message is looked up.
	if err := s.may(command, c.Topic, s.who.User); err != nil && s.may(command, c.Topic, "") != nil {
		s.published(c, nil, err)
		return
	}
	s.backend.Author(c.Topic, *c.Target, func(author string, err error) {
		if err != nil || s.state == closed {
			s.published(c, nil, err)
			return
		}
		s.store(c, command, author)
	})
}

func (s *Session) store(c *protocol.Publish, command rules.Command, author string) {
	may := func() error {
		if s.state == closed {
			return protocol.NotConnected
		}
		return s.may(command, c.Topic, author)
	}
	if err := may(); err != nil {
		s.published(c, nil, err)
		return
	}
	s.backend.Publish(s.who, c, author, may, func(p *protocol.Published, err error) { s.published(c, p, err) })
}

// published answers a publish, and begins the next one of its topic.
func (s *Session) published(c *protocol.Publish, p *protocol.Published, err error) {
	s.waiting--
	switch {
	case s.state == closed:
		return
	case err != nil:
		s.answer(c, err)
	case c.Ref != 0:
		answer := *p
		answer.Ref, answer.Topic, answer.ID = c.Ref, c.Topic, c.ID
		s.out.Send(&answer)
	}
	under := s.publishing
	if under == nil { // the answer has ended the session
		return
	}
	i := slices.IndexFunc(under.queue, func(next *protocol.Publish) bool { return next.Topic == c.Topic })
	if i < 0 {
		under.busy = slices.DeleteFunc(under.busy, func(topic string) bool { return topic == c.Topic })
		if len(under.busy) == 0 {
			s.publishing = nil
		}
		return
	}
	next := under.queue[i]
	under.queue = slices.Delete(under.queue, i, i+1)
	s.publishNow(next)
}

func (s *Session) history(c *protocol.History) {
	if err := s.may(rules.DoHistory, c.Topic, ""); err != nil {
		s.answer(c, err)
		return
	}
	asked := *c
	asked.Limit = s.pageOf(c.Limit)
	s.waiting++
	s.backend.History(&asked, func(p *protocol.Page, err error) {
		s.waiting--
		// Rights may have been taken away while it was read.
		if err == nil && s.state == connected {
			err = s.may(rules.DoHistory, c.Topic, "")
		}
		if err != nil {
			s.answer(c, err)
		} else if s.state == connected {
			answer := *p
			answer.Ref, answer.Topic = c.Ref, c.Topic
			if s.out.Send(&answer) != nil {
				s.fail(c, protocol.Internal)
			}
		}
	})
}

func (s *Session) members(c *protocol.GetPresence) {
	if err := s.may(rules.DoPresence, c.Topic, ""); err != nil {
		s.answer(c, err)
		return
	}
	asked := *c
	asked.Limit = s.pageOf(c.Limit)
	s.waiting++
	s.backend.Members(&asked, func(m *protocol.Members, err error) {
		s.waiting--
		if err == nil && s.state == connected {
			err = s.may(rules.DoPresence, c.Topic, "")
		}
		if err != nil {
			s.answer(c, err)
		} else if s.state == connected {
			answer := *m
			answer.Ref, answer.Topic = c.Ref, c.Topic
			s.out.Send(&answer)
		}
	})
}

// pageOf is how many there are in a page of which so many are wanted; 0: as many as
// there may be.
func (s *Session) pageOf(wanted int) int {
	if wanted == 0 {
		return s.config.Limits.Page
	}
	return min(wanted, s.config.Limits.Page)
}

func (s *Session) set(c *protocol.Set) {
	key := c.Key
	if key == "" {
		key = s.who.User
	}
	err := s.may(rules.DoSet, c.Topic, "")
	switch {
	case err != nil:
	case c.Kind == protocol.KindRead:
		err = protocol.Forbidden // by the command read
	case c.Kind == protocol.KindTyping && key != s.who.User:
		err = protocol.Forbidden
	default:
		err = s.backend.Set(c.Topic, c.Kind, key, c.Data)
	}
	if err != nil {
		s.answer(c, err)
	} else if c.Ref != 0 {
		s.out.Send(&protocol.OK{Ref: c.Ref})
	}
}

// read moves the marker, for a Read and an Unread.
func (s *Session) read(c protocol.Command, topic string) {
	if err := s.may(rules.DoRead, topic, ""); err != nil {
		s.answer(c, err)
		return
	}
	s.waiting++
	s.backend.Read(s.who, c, func(m *protocol.MarkerIs, err error) {
		s.waiting--
		// Rights may have been taken away while it was moved.
		if err == nil && s.state == connected {
			err = s.may(rules.DoRead, topic, "")
		}
		if err != nil {
			s.answer(c, err)
		} else if s.state == connected && c.Answers() != 0 {
			answer := *m
			answer.Ref, answer.Topic = c.Answers(), topic
			s.out.Send(&answer)
		}
	})
}

// MarkerMoved tells the client that another connection of its user has moved the marker.
func (s *Session) MarkerMoved(m *protocol.MarkerIs) {
	if s.state == connected && s.find(m.Topic).open() {
		s.out.Send(m)
	}
}
