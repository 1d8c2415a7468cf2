package service

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
)

// A client that comes to another node brings its session along. The node of the session
// closes the connection that it still has, at once.
const (
	takeoverSubject = "fanloop-chat.take."
	// takeoverWithin is for that node to answer. A node that ended does not.
	takeoverWithin = time.Second
)

// takeover asks for a session.
type takeover struct {
	Session string `cbor:"1,keyasint"`
	User    string `cbor:"2,keyasint"`
}

// join gives the connection its session, after the one that it brings was given up.
func (b *backend) join(brought string, claims *auth.Claims, done func(session.Identity, session.Entry, error)) {
	who := b.service.accounts.identity(claims)
	joined := func(taken bool, _ error) {
		in := session.Entry{Topics: topicsOf(claims)}
		var old *conn
		in.Session, in.State, old = b.service.registry.join(b.conn, brought, who.User)
		if old != nil {
			old.do(func() { old.session.Close(protocol.Replaced, "") })
		}
		if taken {
			in.State = protocol.Resumed
		}
		done(who, in, nil)
	}
	node := nodeOf(brought)
	if node == "" || node == b.service.registry.node {
		joined(false, nil)
		return
	}
	ask(b, func(ctx context.Context) (bool, error) {
		return b.service.takeOver(ctx, node, takeover{brought, who.User}), nil
	}, joined)
}

// topicsOf are the topics that a token, or the backend, names: those that the user belongs
// to, in the order of their names.
func topicsOf(c *auth.Claims) []string {
	return slices.Sorted(maps.Keys(c.Grants.Topics))
}

// takeOver has another node close the connection of a session, and reports whether there
// was one.
func (s *Service) takeOver(ctx context.Context, node string, t takeover) bool {
	question, err := cbor.Marshal(&t)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, takeoverWithin)
	defer cancel()
	reply, err := s.store.nc.RequestWithContext(ctx, takeoverSubject+node, question)
	return err == nil && string(reply.Data) == "1"
}

// listenTakeovers gives up sessions whose clients came to other nodes.
func (s *Service) listenTakeovers() (err error) {
	s.taken, err = s.store.nc.Subscribe(takeoverSubject+s.registry.node, func(m *nats.Msg) {
		var t takeover
		if cbor.Unmarshal(m.Data, &t) != nil {
			return
		}
		s.crew.try(func() { // who asked goes on without, otherwise
			answer := "0"
			if s.giveUp(t) {
				answer = "1"
			}
			_ = m.Respond([]byte(answer))
		})
	})
	return err
}

// giveUp closes the connection of a session, and reports whether there was one of this
// user. When it returns, the client gets nothing there any more.
func (s *Service) giveUp(t takeover) bool {
	c := s.registry.find(t.Session, t.User)
	if c == nil {
		return false
	}
	closed := make(chan struct{})
	c.do(func() {
		defer close(closed)
		c.session.Close(protocol.Replaced, "")
	})
	select {
	case <-closed:
	case <-c.ws.Done():
	case <-time.After(takeoverWithin):
	}
	return true
}
