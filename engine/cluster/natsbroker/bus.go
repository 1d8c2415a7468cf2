package natsbroker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// senderSize is the number of bytes in front of each message on the bus: they name
// the Broker that sent it, who is the only one not to deliver it.
const senderSize = 8

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// newSender names a Broker.
func newSender() uint64 { return rand.Uint64() }

// busSubject is the subject of a channel, below PREFIX.bus.
func (b *Broker) busSubject(c cluster.Channel) string {
	return b.config.Prefix + ".bus." + c.Kind + "." + tokenOf(c.Topic)
}

// Send implements cluster.Bus, by core NATS. The server returns the message to
// this Broker too if it listens to the channel.
func (b *Broker) Send(c cluster.Channel, data []byte) error {
	if err := c.Check(); err != nil {
		return err
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	*buffer = append(binary.BigEndian.AppendUint64((*buffer)[:0], b.sender), data...)
	err := b.nc.Publish(b.busSubject(c), *buffer) // copies
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("natsbroker: %d bytes: %w: %w", len(data), cluster.ErrTooLarge, err)
	case errors.Is(err, nats.ErrConnectionClosed):
		return cluster.ErrClosed
	}
	return unavailable(err)
}

// Listen implements cluster.Bus, by one subscription of core NATS for each call;
// cluster.Lingering shares them.
func (b *Broker) Listen(c cluster.Channel, r cluster.Receiver) (func(), error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return b.subscribe(b.busSubject(c), b.busLanes, &receiver{b.sender, r})
}

// receiver is one who listens to a channel.
type receiver struct {
	self     uint64 // the sender of what is not for it
	receiver cluster.Receiver
}

func (r *receiver) deliver(m *nats.Msg) {
	if len(m.Data) < senderSize || binary.BigEndian.Uint64(m.Data) == r.self {
		return
	}
	r.receiver.Receive(m.Data[senderSize:])
}

func (r *receiver) gap(reason error) { r.receiver.Gap(reason) }
