package service

import (
	"crypto/rand"
	"maps"
	"slices"
	"sync"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// registry has the connections of this node by their sessions, and by their users.
type registry struct {
	node string // in the names of sessions; immutable

	mu    sync.Mutex
	all   map[string]*conn   // guarded by mu
	users map[string][]*conn // guarded by mu
}

func newRegistry() registry {
	return registry{node: rand.Text(), all: make(map[string]*conn), users: make(map[string][]*conn)}
}

// join gives c a session: the one that it brings if that is the same user's, whose
// connection is returned and is to be closed; otherwise a new one.
func (r *registry) join(c *conn, brought, user string) (session string, state protocol.State, old *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	session, state = "s."+r.node+"."+rand.Text(), protocol.Fresh
	if brought != "" {
		state = protocol.Reset
		if was := r.all[brought]; was != nil && was.user == user {
			session, state, old = brought, protocol.Resumed, was
		}
	}
	c.user, c.name = user, session
	r.all[session] = c
	r.users[user] = append(r.users[user], c)
	return session, state, old
}

// find returns the connection of a session; nil: there is none, or it is another user's.
func (r *registry) find(session, user string) *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.all[session]; c != nil && c.user == user {
		return c
	}
	return nil
}

// leave forgets c. Its session stays if another connection has it by now.
func (r *registry) leave(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all[c.name] == c {
		delete(r.all, c.name)
	}
	mine := slices.DeleteFunc(r.users[c.user], func(other *conn) bool { return other == c })
	if r.users[c.user] = mine; len(mine) == 0 {
		delete(r.users, c.user)
	}
}

// connections returns all.
func (r *registry) connections() []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.all))
}

// each calls f for each connection, with its user.
func (r *registry) each(f func(c *conn, user string)) {
	for _, c := range r.connections() {
		r.mu.Lock()
		user := c.user
		r.mu.Unlock()
		f(c, user)
	}
}

// subscribed counts the connections that are subscribed to a topic. It visits all.
func (r *registry) subscribed(topic string) (n int) {
	for _, c := range r.connections() {
		if c.attempt(topic) != 0 {
			n++
		}
	}
	return n
}

// count is the number of sessions and of users.
func (r *registry) count() (sessions, users int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all), len(r.users)
}

// of returns the connections of a user.
func (r *registry) of(user string) (list []*conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.users[user])
}
