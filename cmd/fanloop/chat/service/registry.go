package service

import (
	"crypto/rand"
	"sync"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// registry has the connections of this node by their sessions.
type registry struct {
	mu  sync.Mutex
	all map[string]*conn // guarded by mu
}

// join gives c a session: the one that it brings if that is the same user's, whose
// connection is returned and is to be closed; otherwise a new one.
func (r *registry) join(c *conn, brought, user string) (session string, state protocol.State, old *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	session, state = "s."+rand.Text(), protocol.Fresh
	if brought != "" {
		state = protocol.Reset
		if was := r.all[brought]; was != nil && was.user == user {
			session, state, old = brought, protocol.Resumed, was
		}
	}
	c.user, c.name = user, session
	r.all[session] = c
	return session, state, old
}

// leave forgets c, unless another connection has its session by now.
func (r *registry) leave(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all[c.name] == c {
		delete(r.all, c.name)
	}
}
