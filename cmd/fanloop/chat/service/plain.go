package service

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// plainKind is in the names of the engine's topics whose messages are not stored. They are
// relayed to the other nodes; all other topics of the engine stay on theirs.
const plainKind = "plain"

// plainTopic is the engine's topic of one without history. A name that is too long for the
// bus with what is in front of it has its hash there.
func plainTopic(e protocol.Encoding, topic string) string {
	name := sharedTopic(e, plainKind, topic)
	if len(name) <= cluster.MaxTopic {
		return name
	}
	sum := sha256.Sum256([]byte(topic))
	return sharedTopic(e, plainKind, hex.EncodeToString(sum[:]))
}

// joinRelay relays topics without history, from before the server begins.
func (s *Service) joinRelay() (err error) {
	s.relay, err = relay.Join(s.server, punctual{s.store.broker, s}, relay.Config{Name: "chat-plain", Local: func(topic string) bool {
		for _, e := range encodings {
			if strings.HasPrefix(topic, prefixOf(e)+plainKind+":") {
				return false
			}
		}
		return true
	}})
	return err
}

// publishPlain sends a message to whoever is there, at most once.
func (s *Service) publishPlain(topic, id string, stored []byte) (*protocol.Published, error) {
	body, err := bodyOf(stored)
	if err != nil {
		return nil, err
	}
	m := protocol.Message{Topic: topic, ID: id, Time: time.Now().UnixMilli(), Body: body}
	for _, e := range encodings {
		// A slow subscriber, or one of a node that cannot be reached, misses it.
		_, _ = s.server.Publish(plainTopic(e, topic), messageIn(e, e.AppendMessage(nil, &m)))
	}
	_ = s.passive.Add(topic) // a note that is lost is made up for by the next
	return &protocol.Published{}, nil
}

// openPlain subscribes to what is not stored, from this turn on.
func (d *delivery) openPlain(a *protocol.Subscribed) error {
	a.State = protocol.Fresh
	return d.share(plainKind)
}
