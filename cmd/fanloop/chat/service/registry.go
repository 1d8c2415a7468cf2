package service

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// registry has the connections of this node by their sessions, and by their users.
type registry struct {
	node string // in the names of sessions; immutable

	mu    sync.Mutex
	all   map[string]*conn // by the part of the session's name that its connections share; guarded by mu
	users map[string]*conn // lists; guarded by mu
}

func newRegistry() registry {
	return registry{node: rand.Text(), all: make(map[string]*conn), users: make(map[string]*conn)}
}

// join gives c a session: the one that it brings if that is the same user's, whose
// connection is returned and is to be closed; otherwise a new one. The name of the session
// ends with a part that each of its connections has for itself: a POST that names an earlier
// one is none of c.
func (r *registry) join(c *conn, brought, user string) (session string, state protocol.State, old *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := rand.Text()
	state = protocol.Fresh
	if brought != "" {
		state = protocol.Reset
		if was := r.named(brought); was != nil && was.user == user {
			name, state, old = was.name, protocol.Resumed, was
		}
	}
	c.user, c.name = user, name
	r.all[name] = c
	c.next, r.users[user] = r.users[user], c
	return r.prefix() + name + "." + rand.Text(), state, old
}

// prefix begins the names of all sessions of this node.
func (r *registry) prefix() string { return "s." + r.node + "." }

// named returns the connection of a session, which was named by any of its connections:
// the client may not have got the last name. Under mu.
func (r *registry) named(session string) *conn {
	rest, is := strings.CutPrefix(session, r.prefix())
	if !is {
		return nil
	}
	name, _, _ := strings.Cut(rest, ".")
	return r.all[name]
}

// find returns the connection of a session; nil: there is none, or it is another user's.
func (r *registry) find(session, user string) *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.named(session); c != nil && c.user == user {
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
	first := r.users[c.user]
	for at := &first; *at != nil; at = &(*at).next {
		if *at == c {
			*at, c.next = c.next, nil
			break
		}
	}
	if first == nil {
		delete(r.users, c.user)
	} else {
		r.users[c.user] = first
	}
}

// clear forgets all connections, and returns them: those whose session another one has, too.
func (r *registry) clear() (all []*conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.users {
		for ; c != nil; c = c.next {
			all = append(all, c)
		}
	}
	clear(r.all)
	clear(r.users)
	return all
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
		f(c, r.userOf(c))
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

// userOf is the user of a connection.
func (r *registry) userOf(c *conn) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.user
}

// of returns the connections of a user.
func (r *registry) of(user string) (list []*conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := r.users[user]; c != nil; c = c.next {
		list = append(list, c)
	}
	return list
}
