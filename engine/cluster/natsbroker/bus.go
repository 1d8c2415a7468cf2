package natsbroker

import (
	"crypto/rand"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// senderSize is the number of bytes in front of each message on the bus: they name
// the Broker that sent it, who is the only one not to deliver it.
const senderSize = 8

// sender names a Broker.
type sender [senderSize]byte

func newSender() (s sender) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// busSubject is the subject of a channel, below PREFIX.bus.
func (b *Broker) busSubject(c cluster.Channel) string {
	return b.config.Prefix + ".bus." + c.Kind + "." + tokenOf(c.Topic)
}

// Send implements cluster.Bus, by core NATS. The server returns the message to
// this Broker too if it listens to the channel. Where the server reads more slowly than
// is sent, ErrUnavailable is returned once 8 MiB wait.
func (b *Broker) Send(c cluster.Channel, data []byte) error {
	if err := c.Check(); err != nil {
		return err
	}
	switch {
	case int64(senderSize+len(data)) > b.maxPayload.Load():
		return fmt.Errorf("natsbroker: %d bytes: %w: %w", len(data), cluster.ErrTooLarge, nats.ErrMaxPayload)
	case b.over():
		return cluster.ErrClosed
	case !b.connected.Load():
		return unavailable(nats.ErrConnectionReconnecting)
	}
	if err := b.out.add(b.busSubject(c), b.name[:], data); err != nil {
		return unavailable(err)
	}
	return nil
}

// Listen implements cluster.Bus, by one subscription of core NATS for each call;
// cluster.Lingering shares them.
func (b *Broker) Listen(c cluster.Channel, r cluster.Receiver) (func(), error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return b.subscribe(b.busSubject(c), b.busLanes, &receiver{b.name, r})
}

// receiver is one who listens to a channel.
type receiver struct {
	self     sender // the one of what is not for it
	receiver cluster.Receiver
}

func (r *receiver) deliver(m *nats.Msg) {
	if len(m.Data) < senderSize || sender(m.Data[:senderSize]) == r.self {
		return
	}
	r.receiver.Receive(m.Data[senderSize:])
}

func (r *receiver) gap(reason error) { r.receiver.Gap(reason) }
