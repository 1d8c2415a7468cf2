package service

import (
	"context"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
)

// askBackend asks the company's backend by a hook, and calls then as a turn: with what is
// allowed, or with an error, of this code where the backend refuses. Questions have
// goroutines of their own, of which there are as many as the hook is configured for: one
// that hangs takes no place of the crew. An answer to a question from before a right was
// taken away from the user does not count: the backend is asked again.
func (b *backend) askBackend(h *hooks.Hook, q hooks.Question, refused protocol.Code, then func(hooks.Answer, error)) {
	q.Address = b.conn.remote.String()
	if q.User == "" {
		q.User, q.Session = b.conn.user, b.conn.login
	}
	began := time.Now()
	err := h.Go(context.Background(), q, func(a hooks.Answer, err error) {
		b.service.late()
		outcome := string(hooks.OutcomeOf(a, err))
		if a.Otherwise {
			outcome = "no answer, let through"
		}
		if err == nil && !a.Allow {
			err = protocol.Fail(nil, refused, a.Reason)
		}
		user := q.User
		if user == "" {
			user = a.User
		}
		if a.Allow && !a.Otherwise && b.service.taking.since(user, a.Asked) {
			b.conn.do(func() { b.askBackend(h, q, refused, then) })
			return
		}
		b.conn.do(func() {
			b.conn.hooked(string(h.Kind()), outcome, q.Topic, began)
			then(a, answer(err))
		})
	})
	if err != nil {
		b.conn.hooked(string(h.Kind()), string(hooks.OutcomeOf(hooks.Answer{}, err)), q.Topic, began)
		then(hooks.Answer{}, answer(err))
	}
}

// connectByHook has the backend say who a client is.
func (b *backend) connectByHook(h *hooks.Hook, c *protocol.Connect, then func(auth.Claims, error)) {
	b.askBackend(h, hooks.Question{Token: auth.NewToken(c.Token)}, protocol.Unauthorized, func(a hooks.Answer, err error) {
		then(claimsOf(&a), err)
	})
}

// refreshByHook has it say whether the client is still the same. Without a hook of its own
// the question is that of connect.
func (b *backend) refreshByHook(who *session.Identity, token string, then func(auth.Claims, error)) {
	all := b.service.accounts.hooks
	h := all[hooks.Refresh]
	if h == nil {
		h = all[hooks.Connect]
	}
	b.askBackend(h, hooks.Question{Token: auth.NewToken(token)}, protocol.Unauthorized, func(a hooks.Answer, err error) {
		claims := claimsOf(&a)
		if claims.User == "" { // the backend need not repeat it
			claims.User, claims.Name, claims.Session = who.User, who.Name, b.conn.login
		}
		then(claims, err)
	})
}

// claimsOf is what an answer says of a user. For a revocation it was issued when the
// backend was asked: what was revoked since then counts.
func claimsOf(a *hooks.Answer) auth.Claims {
	return auth.Claims{
		User: a.User, Name: a.Name, Session: a.Session, Info: a.Info, Issued: a.Asked, Expires: a.Expires, Grants: a.Grants,
	}
}

// authorizeByHook has the backend say what a user may do in a topic.
func (b *backend) authorizeByHook(h *hooks.Hook, topic string, done func(*session.Grant, error)) {
	b.askBackend(h, hooks.Question{Topic: topic}, protocol.Forbidden, func(a hooks.Answer, err error) {
		done(&session.Grant{Rights: a.Rights, Expires: a.Expires}, err)
	})
}

// publishByHook has the backend say whether a message is stored, and which.
func (b *backend) publishByHook(h *hooks.Hook, c *protocol.Publish, author string, then func(data protocol.Data, err error)) {
	q := hooks.Question{Topic: c.Topic, ID: c.ID, Event: c.Kind, Target: c.Target, Author: author, Data: c.Data}
	b.askBackend(h, q, protocol.Forbidden, func(a hooks.Answer, err error) {
		data := c.Data
		if err == nil && a.Data != nil {
			data = a.Data
		}
		then(data, err)
	})
}
