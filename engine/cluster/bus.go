package cluster

import (
	"errors"
	"fmt"
)

// ErrTooLarge is wrapped by Send and Publish when data is more than the bus or the broker takes.
var ErrTooLarge = errors.New("cluster: the message is larger than the broker takes; send less, or in parts")

// Channel names what is sent on a Bus: a topic, and what of it.
type Channel struct {
	// Kind keeps users of a bus apart: letters, digits, - and _, up to 64.
	Kind string
	// Topic is any bytes, up to MaxTopic.
	Topic string
}

// Check returns ErrTopic, wrapped, if c cannot be a channel.
func (c Channel) Check() error {
	if c.Kind == "" || len(c.Kind) > 64 {
		return fmt.Errorf("%w; a kind 1 to 64: %q", ErrTopic, c.Kind)
	}
	for _, b := range []byte(c.Kind) {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return fmt.Errorf("%w; a kind has letters, digits, - and _: %q", ErrTopic, c.Kind)
		}
	}
	return CheckTopic(c.Topic)
}

// Bus delivers messages to other nodes at once and keeps none of them. A message
// may be lost. Messages of two nodes have no order, so two nodes may see them in
// different ones. All methods may be called by any goroutine.
//
// A node has one Bus, and closes it after everything that uses it.
type Bus interface {
	// Send delivers data to every other node that listens to the channel. Receivers
	// of the same Bus do not get it. It neither waits for delivery nor blocks;
	// ErrUnavailable says that there is no connection, or that it takes no more. Messages
	// have no id: whoever sends one again may send it twice. data may be changed afterwards.
	Send(c Channel, data []byte) error

	// Listen delivers what other nodes send on the channel to r, until stop is called.
	// It succeeds without a connection too: what is missed then is a gap.
	// When stop has returned, r gets nothing that is sent later.
	Listen(c Channel, r Receiver) (stop func(), err error)
}

// Receiver gets what a Bus delivers. Its methods may be called by any goroutine, also at
// the same time, and with what was sent before for a short time after stop; they do not block.
type Receiver interface {
	// Receive is called for each message. data belongs to the receiver, who shares it
	// with others: do not change it.
	Receive(data []byte)
	// Gap is called when messages may have been lost: the connection was made anew or
	// delivers nothing, or messages came faster than they were taken.
	Gap(reason error)
}
