package cluster

import (
	"context"
	"errors"
	"time"
)

// Errors that are returned as they are or wrapped.
var (
	// ErrUnavailable: the broker did not answer. What was asked for may have
	// happened. Try again, a Publish with the same id, so that it is stored once.
	ErrUnavailable = errors.New("cluster: the broker did not answer")
	// ErrBehind: the answer came from a copy of the store that lacks messages which
	// others have. Ask again shortly.
	ErrBehind = errors.New("cluster: the copy of the store that answered is behind; ask again")
	// ErrTopic: the name is empty or longer than MaxTopic.
	ErrTopic = errors.New("cluster: a topic's name has 1 to 255 bytes")
	// ErrID: the id of a publish is longer than MaxID or has a control character.
	ErrID = errors.New("cluster: an id has at most 128 bytes and no control characters; leave it empty to get one")
	// ErrClosed: the node or the subscription is closed.
	ErrClosed = errors.New("cluster: closed")
)

// MaxTopic is the length of a topic's name at most, in bytes. Names are bytes:
// two that look alike are two topics unless they are equal.
const MaxTopic = 255

// MaxID is the length of the id of a message at most, in bytes.
const MaxID = 128

// CheckTopic returns ErrTopic if topic cannot be the name of one.
func CheckTopic(topic string) error {
	if topic == "" || len(topic) > MaxTopic {
		return ErrTopic
	}
	return nil
}

// CheckID returns ErrID if id cannot be that of a message.
func CheckID(id string) error {
	if len(id) > MaxID {
		return ErrID
	}
	for i := range len(id) {
		if id[i] < ' ' || id[i] == 0x7f {
			return ErrID
		}
	}
	return nil
}

// Broker stores the messages of topics, each topic in one order, and delivers
// new ones. All methods may be called by any goroutine.
type Broker interface {
	// Publish appends a message to a topic and returns when it is stored. A second
	// publish of the same id to the same topic, within the time that the broker
	// remembers ids, stores nothing and is acknowledged as a duplicate with the
	// position of the first. An empty id is replaced by a random one.
	Publish(ctx context.Context, topic, id string, data []byte) (Ack, error)

	// Head is the end of a topic. It is up to date: a message whose publish was
	// acknowledged, or that was delivered, before the call is not behind it.
	Head(ctx context.Context, topic string) (Head, error)

	// Read returns messages of a topic in order, beginning with the one at offset
	// from if there is one, otherwise with the first that is kept after it. Nothing
	// between two messages of a page is missing. The end of a page may be behind
	// Head. If the message at from is kept but not in the answer, the error is
	// ErrBehind.
	Read(ctx context.Context, topic string, from uint64, max Budget) ([]Message, error)

	// ReadBack returns messages of a topic in order, which end with the one at offset
	// to if there is one, otherwise with the last that is kept in front of it. Nothing
	// between two messages is missing. It returns the last ones in front of to that
	// are within the budget, or fewer, but one at least if there is one. guess is an
	// offset from which on there are about as many; 0: unknown. A good guess makes
	// the answer cheaper and longer. If the message at to is kept but not in the
	// answer, the error is ErrBehind.
	ReadBack(ctx context.Context, topic string, to, guess uint64, max Budget) ([]Message, error)

	// Intact reports whether every message of the topic that was ever stored behind
	// offset after is kept.
	Intact(ctx context.Context, topic string, after uint64) (bool, error)

	// Follow delivers new messages of a topic to l until the returned function is
	// called. Every message that is stored after a later call of Head is delivered,
	// as far as none are lost. Messages may be lost, repeated and reordered. But none is
	// delivered that a store of the same epoch had before it was replaced by an older
	// copy, once that one has answered.
	Follow(topic string, l Listener) (stop func(), err error)

	// Heard is the time up to which everything that was stored in a topic that is followed has
	// been sent here, as far as the broker has proof and Gap was not called since: when a
	// question was asked that the store has answered. A broker asks at least once a second while
	// a topic is followed. A time that is older than that says that the store may be cut off, or
	// this process was stopped; messages that nobody has reported missing may be under way. It
	// does not wait.
	Heard(topic string) time.Time
}

// Listener gets what a Broker delivers. Its methods may be called by any
// goroutine, also at the same time, and for a short time after the end of
// Follow; they do not block.
type Listener interface {
	// Live is called for each new message.
	Live(m Message)
	// Gap is called when messages may have been lost: the broker is not reachable, or
	// delivered faster than they were taken. It is called before Live is with a
	// message from behind the loss.
	Gap(reason error)
}

// Ack says where a publish is stored.
type Ack struct {
	Position  Position
	Duplicate bool // it was stored by an earlier publish of the same id
}

// Head is the end of a topic.
type Head struct {
	// Position is that of the last message. If none is kept its ID is empty and its
	// Offset is Through.
	Position Position
	// Through: the topic has no message between Position and this offset.
	Through uint64
	// First: no message at this offset or behind it was discarded for its age or for
	// the size of the store.
	First uint64
}
