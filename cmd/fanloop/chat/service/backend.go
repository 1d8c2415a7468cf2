package service

import (
	"context"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
)

// backend is the session.Backend of one connection. Its methods are called on the
// loop, and call done there.
type backend struct {
	service *Service
	conn    *conn
}

// ask runs question on the crew and then then as a turn. It returns false if the crew has
// too much to do; then was called with that.
func ask[T any](b *backend, question func(ctx context.Context) (T, error), then func(T, error)) bool {
	ok := b.service.crew.try(func() {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		var result T
		err := error(later(protocol.Unavailable))
		if !b.service.late() {
			err = answer(survive.Do(func() (err error) { result, err = question(ctx); return err }))
		}
		if isFault(err) {
			b.service.failed("a command", err)
		}
		b.service.late()
		b.conn.do(func() { then(result, err) })
	})
	if !ok {
		b.service.counts.overloads.Add(1)
		var none T
		then(none, later(protocol.Overloaded))
	}
	return ok
}

// Connect implements session.Backend.
func (b *backend) Connect(c *protocol.Connect, done func(session.Identity, session.Entry, error)) {
	entered := func(claims auth.Claims, err error) {
		if err == nil {
			err = answer(b.conn.enter(&claims))
		}
		if err != nil {
			done(session.Identity{}, session.Entry{}, err)
			return
		}
		b.service.granted(&claims.Grants)
		b.join(c.Session, &claims, done)
	}
	if h := b.service.accounts.hooks[hooks.Connect]; h != nil {
		b.connectByHook(h, c, entered)
		return
	}
	from := b.conn.from
	ask(b, func(context.Context) (auth.Claims, error) {
		claims, err := b.service.accounts.connect(c, from)
		b.service.refused(err, "connect")
		return claims, err
	}, entered)
}

// Refresh implements session.Backend.
func (b *backend) Refresh(who *session.Identity, token string, done func(session.Identity, error)) {
	a, now := b.service.accounts, auth.Claims{User: who.User, Session: b.conn.login}
	refreshed := func(claims auth.Claims, err error) {
		switch {
		case err != nil:
		case claims.User != who.User: // before it is registered for what concerns that user
			err = protocol.Fail(nil, protocol.Unauthorized, "the token is another user's")
		default:
			err = answer(b.conn.revocation.Refresh(revocable(&claims)))
		}
		if err != nil {
			done(session.Identity{}, err)
			return
		}
		b.conn.login = claims.Session
		b.service.granted(&claims.Grants)
		done(a.identity(&claims), nil)
	}
	switch {
	case a.hooks[hooks.Connect] != nil:
		b.refreshByHook(who, token, refreshed)
	case a.verifier != nil:
		ask(b, func(context.Context) (auth.Claims, error) {
			claims, err := a.verifier.Refresh(auth.NewToken(token), now)
			b.service.refused(err, "refresh")
			return claims, err
		}, refreshed)
	default:
		done(session.Identity{}, protocol.Unauthorized)
	}
}

// Authorize implements session.Backend.
func (b *backend) Authorize(who *session.Identity, topic, token string, done func(*session.Grant, error)) {
	a := b.service.accounts
	h := a.hooks[hooks.Subscribe]
	switch {
	case token == "" && h != nil:
		b.authorizeByHook(h, topic, done)
	case token == "" && b.needsToken(who, topic):
		done(nil, protocol.TokenRequired)
	case token == "":
		done(nil, nil)
	case a.verifier == nil:
		done(nil, protocol.Forbidden)
	default:
		now := auth.Claims{User: who.User, Session: b.conn.login}
		ask(b, func(context.Context) (auth.Claims, error) {
			claims, err := a.verifier.Topic(auth.NewToken(token), now, topic)
			b.service.refused(err, "topic")
			return claims, err
		}, func(claims auth.Claims, err error) {
			var g *session.Grant
			if err == nil {
				g, err = b.grant(&claims)
			}
			done(g, answer(err))
		})
	}
}

// grant is what a topic token adds until it is revoked. It is registered on the loop: a
// connection that has ended registers nothing.
func (b *backend) grant(claims *auth.Claims) (*session.Grant, error) {
	c, a, topic := b.conn, b.service.accounts, claims.Topic // claims are kept by nobody
	g := &session.Grant{Rights: claims.Rights, Expires: claims.Expires, Grace: a.verifier.Leeway()}
	registered, err := a.revoked.Register(revocable(claims), func(revoke.Revocation) <-chan struct{} {
		return c.ending(topic, func() { c.session.Withdraw(g, protocol.Revoked) })
	})
	if err != nil {
		return nil, err
	}
	g.Release = registered.Close
	return g, nil
}

// needsToken reports whether a topic token is what a user lacks.
func (b *backend) needsToken(who *session.Identity, topic string) bool {
	if b.service.accounts.verifier == nil {
		return false
	}
	all := b.service.rules.Load()
	space, err := all.Namespace(topic)
	return err == nil && space.Who[rules.Subscribe] == rules.Granted && !who.Grants.In(topic).Has(rules.RightsOf(rules.Subscribe))
}

// Publish implements session.Backend.
func (b *backend) Publish(who *session.Identity, c *protocol.Publish, author string, may func() error, done func(*protocol.Published, error)) {
	h := b.service.accounts.hooks[hooks.Publish]
	if h == nil {
		b.store(who, c, c.Data, done)
		return
	}
	b.publishByHook(h, c, author, func(data protocol.Data, err error) {
		if err == nil {
			err = may()
		}
		if err != nil {
			done(nil, err)
			return
		}
		b.store(who, c, data, done)
	})
}

// store stores a message with data in place of its own.
func (b *backend) store(who *session.Identity, c *protocol.Publish, data protocol.Data, done func(*protocol.Published, error)) {
	s := b.service
	body, err := storedBody(&protocol.Body{User: who.User, Name: who.Name, Kind: c.Kind, Target: c.Target, Data: data})
	if err != nil {
		done(nil, err)
		return
	}
	user, end := who.User, s.writes.begin(who.User, c.Topic)
	asked := ask(b, func(ctx context.Context) (*protocol.Published, error) {
		defer end()
		s.published(c.Topic, user, len(data))
		return s.publish(ctx, c.Topic, storedID(user, c.ID), body)
	}, done)
	if !asked {
		end()
	}
}

// publish stores a message for the topic of all nodes.
func (s *Service) publish(ctx context.Context, topic, id string, body []byte) (*protocol.Published, error) {
	if !s.keepsHistory(topic) {
		return s.publishPlain(topic, clientID(id), body)
	}
	begin := time.Now()
	ack, err := s.node.Publish(ctx, topic, id, body)
	if err != nil {
		s.counts.unstored.Add(1)
		return nil, err
	}
	s.counts.stored.Add(time.Since(begin))
	if ack.Duplicate {
		s.counts.repeated.Add(1)
	} else {
		_ = s.passive.Add(topic) // a note that is lost is made up for by the next
	}
	pos := protocol.Position(ack.Position)
	return &protocol.Published{Pos: &pos, Duplicate: ack.Duplicate}, nil
}
