package service

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// storedID is the id of a user's publish as the store has it. Ids belong to users: two
// who use the same one in a topic publish two messages.
func storedID(user, id string) string {
	sum := sha256.Sum256([]byte(user))
	return base64.RawURLEncoding.EncodeToString(sum[:12]) + ":" + id
}

// clientID is the inverse: the id that the user chose.
func clientID(stored string) string {
	if _, id, ok := strings.Cut(stored, ":"); ok {
		return id
	}
	return stored // of another origin
}

// broker is a store in which messages and positions have the ids that users chose. An
// offset has one message, so they are as good as the stored ones. Publish takes what
// storedID returns.
type broker struct{ cluster.Broker }

// Publish implements cluster.Broker.
func (b broker) Publish(ctx context.Context, topic, id string, data []byte) (cluster.Ack, error) {
	ack, err := b.Broker.Publish(ctx, topic, id, data)
	ack.Position.ID = clientID(ack.Position.ID)
	return ack, err
}

// Head implements cluster.Broker.
func (b broker) Head(ctx context.Context, topic string) (cluster.Head, error) {
	head, err := b.Broker.Head(ctx, topic)
	head.Position.ID = clientID(head.Position.ID)
	return head, err
}

// Read implements cluster.Broker.
func (b broker) Read(ctx context.Context, topic string, from uint64, max cluster.Budget) ([]cluster.Message, error) {
	page, err := b.Broker.Read(ctx, topic, from, max)
	return withClientIDs(page), err
}

// ReadBack implements cluster.Broker.
func (b broker) ReadBack(ctx context.Context, topic string, to, guess uint64, max cluster.Budget) ([]cluster.Message, error) {
	page, err := b.Broker.ReadBack(ctx, topic, to, guess, max)
	return withClientIDs(page), err
}

func withClientIDs(page []cluster.Message) []cluster.Message {
	for i := range page {
		page[i].ID = clientID(page[i].ID)
	}
	return page
}

// Follow implements cluster.Broker.
func (b broker) Follow(topic string, l cluster.Listener) (func(), error) {
	return b.Broker.Follow(topic, listener{l})
}

// listener gets messages with the ids that users chose.
type listener struct{ cluster.Listener }

// Live implements cluster.Listener.
func (l listener) Live(m cluster.Message) {
	m.ID = clientID(m.ID)
	l.Listener.Live(m)
}
