package engine

import (
	"github.com/fanloop-go/fanloop/engine/internal/headcount"
	"github.com/fanloop-go/fanloop/loop"
)

// maxRefusals bounds the connections over the limit that are answered 503 at the same
// time. More are reset: a flood must not hold descriptors.
const maxRefusals = 256

// accept makes the handler of a connection. It runs on the loop that owns it.
func (ln *Listener) accept(*loop.Loop) loop.Handler {
	s := ln.server
	e := s.conns.Enter(s.settings.limits.MaxConnections, maxRefusals)
	if e == headcount.Denied {
		s.refusals.reset.Add(1)
		return nil
	}
	u := newUpgrade(s)
	u.overLimit = e == headcount.Refused
	u.place.stage = ln.stages(u)
	return (*handler)(newWebSocket(s.settings, &u.place))
}

// stages puts before u what connections of ln begin with.
func (ln *Listener) stages(u *upgrade) stage {
	var first stage = u
	if ln.tls != nil {
		first = &secure{config: ln.tls, next: first, bad: &ln.server.badTLS}
	}
	if ln.proxy != nil {
		first = &proxyHeader{trust: ln.proxy, next: first, bad: &ln.server.badProxy}
	}
	return first
}
