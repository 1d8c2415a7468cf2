package session

import (
	"errors"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// may decides whether the user may do something in a topic now. author is who wrote
// the message that is to be changed.
func (s *Session) may(command rules.Command, topic, author string) error {
	t := s.find(topic)
	return s.decide(command, topic, author, t, t.open())
}

// mayAs is may for a subscription that is about to be open.
func (s *Session) mayAs(command rules.Command, t *topic, subscribed bool) error {
	return s.decide(command, t.name, "", t, subscribed)
}

func (s *Session) decide(command rules.Command, name, author string, t *topic, subscribed bool) error {
	subject := rules.Subject{User: s.who.User, Grants: s.who.Grants, Subscribed: subscribed}
	if t != nil {
		subject.Topic = t.grant.rights(s.config.Now)
	}
	err := s.config.Rules().May(subject, rules.Request{Command: command, Topic: name, Author: author})
	return codeOf(err)
}

// codeOf says an error of the rules in the words of the protocol.
func codeOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, names.ErrName):
		return protocol.BadName
	case errors.Is(err, rules.ErrNamespace):
		return protocol.UnknownTopic
	case errors.Is(err, rules.ErrNotSubscribed):
		return protocol.NotSubscribed
	case errors.Is(err, rules.ErrNoHistory):
		return protocol.Off
	case errors.Is(err, rules.ErrDenied):
		return protocol.Forbidden
	}
	return protocol.Internal
}

// commandOf is what a publish asks for.
func commandOf(c *protocol.Publish) rules.Command {
	switch c.Kind {
	case protocol.KindEdit:
		return rules.DoEdit
	case protocol.KindDelete:
		return rules.DoDelete
	case protocol.KindReact, protocol.KindUnreact:
		return rules.DoReact
	}
	return rules.DoPublish
}
