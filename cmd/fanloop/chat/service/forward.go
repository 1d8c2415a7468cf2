package service

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// A session names its node, so that any node can hand on the POSTs of a stream.
const (
	forwardSubject = "fanloop-chat.post."
	// forwardWithin is longer than the node of the stream waits for its session.
	forwardWithin = 3 * time.Second
	headerSession = "Fanloop-Session"
	headerSeq     = "Fanloop-Seq"
)

// nodeOf is the node that a session names; empty: it is none.
func nodeOf(session string) string {
	rest, is := strings.CutPrefix(session, "s.")
	node, _, named := strings.Cut(rest, ".")
	if !is || !named || node == "" || strings.ContainsFunc(node, func(r rune) bool { return !('A' <= r && r <= 'Z' || '2' <= r && r <= '7') }) {
		return ""
	}
	return node
}

// listen takes POSTs that came to other nodes.
func (s *streams) listen() (err error) {
	s.heard, err = s.service.store.nc.Subscribe(forwardSubject+s.service.registry.node, func(m *nats.Msg) {
		answer := func() {
			status := s.take(m.Header.Get(headerSession), m.Header.Get(headerSeq), m.Data)
			_ = m.Respond([]byte(strconv.Itoa(status))) // who asked repeats the POST otherwise
		}
		if !s.service.crew.try(answer) {
			_ = m.Respond([]byte(strconv.Itoa(http.StatusServiceUnavailable)))
		}
	})
	return err
}

// forward hands a POST on to the node of its session, and returns the status of the answer.
func (s *streams) forward(ctx context.Context, node, session, seq string, body []byte) int {
	m := nats.NewMsg(forwardSubject + node)
	m.Header.Set(headerSession, session)
	m.Header.Set(headerSeq, seq)
	m.Data = body
	ctx, cancel := context.WithTimeout(ctx, forwardWithin)
	defer cancel()
	reply, err := s.service.store.nc.RequestMsgWithContext(ctx, m)
	switch {
	case err == nats.ErrNoResponders:
		return http.StatusNotFound // the node has ended, and the stream with it
	case err != nil:
		return http.StatusServiceUnavailable
	}
	status, err := strconv.Atoi(string(reply.Data))
	if err != nil {
		return http.StatusServiceUnavailable
	}
	return status
}
