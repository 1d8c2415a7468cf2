package service

import (
	"context"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
)

// backend is the session.Backend of one connection. Its methods are called on the
// loop, and call done there.
type backend struct {
	service *Service
	conn    *conn
}

// ask runs question on the crew and then then as a turn.
func ask[T any](b *backend, question func(ctx context.Context) (T, error), then func(T, error)) {
	ok := b.service.crew.try(func() {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		result, err := question(ctx)
		b.conn.do(func() { then(result, answer(err)) })
	})
	if !ok {
		var none T
		then(none, later(protocol.Overloaded))
	}
}

// Connect implements session.Backend.
func (b *backend) Connect(c *protocol.Connect, done func(session.Identity, error)) {
	s := b.service
	claims, err := s.develop.Identify(c.User, b.conn.remote, b.conn.host, b.conn.header)
	if err != nil {
		done(session.Identity{}, answer(err))
		return
	}
	name, state, old := s.registry.join(b.conn, c.Session, claims.User)
	if old != nil {
		old.do(func() { old.session.Close(protocol.Replaced, "") })
	}
	done(session.Identity{User: claims.User, Name: claims.Name, Session: name, State: state}, nil)
}

// Refresh implements session.Backend. Without accounts nobody has a token.
func (b *backend) Refresh(_ *session.Identity, _ string, done func(session.Identity, error)) {
	done(session.Identity{}, protocol.Unauthorized)
}

// Authorize implements session.Backend.
func (b *backend) Authorize(_ *session.Identity, _, token string, done func(session.Grant, error)) {
	if token != "" {
		done(session.Grant{}, protocol.Unauthorized)
		return
	}
	done(session.Grant{}, nil)
}

// Publish implements session.Backend.
func (b *backend) Publish(who *session.Identity, c *protocol.Publish, done func(*protocol.Published, error)) {
	s := b.service
	body, err := storedBody(&protocol.Body{User: who.User, Name: who.Name, Kind: c.Kind, Target: c.Target, Data: c.Data})
	if err != nil {
		done(nil, err)
		return
	}
	ask(b, func(ctx context.Context) (*protocol.Published, error) {
		ack, err := s.node.Publish(ctx, c.Topic, c.ID, body)
		if err != nil {
			return nil, err
		}
		if !ack.Duplicate {
			_ = s.passive.Add(c.Topic) // a note that is lost is made up for by the next
		}
		pos := protocol.Position(ack.Position)
		return &protocol.Published{Pos: &pos, Duplicate: ack.Duplicate}, nil
	}, done)
}
