package natsbroker

import (
	"crypto/rand"
	"fmt"
	"sync/atomic"

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
// cluster.Lingering shares them. It does not wait for the connection: NATS gets to know of
// the subscription behind what was sent before, and in front of what is sent later.
func (b *Broker) Listen(c cluster.Channel, r cluster.Receiver) (func(), error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if b.over() {
		return nil, cluster.ErrClosed
	}
	l := &listening{broker: b, channel: c, receiver: r, since: b.attempts.Load()}
	b.out.do(l.begin)
	return l.stop, nil
}

// listening is one call of Listen.
type listening struct {
	// Immutable.
	broker   *Broker
	channel  cluster.Channel
	receiver cluster.Receiver
	since    uint64 // attempts to connect again, at the call

	stopped atomic.Bool // nothing is delivered any more
	leave   func()      // of the goroutine that sends; nil: there is no subscription
}

// begin subscribes, on the goroutine that sends. Where the connection was lost since the
// call, messages may have been.
func (l *listening) begin() {
	if l.stopped.Load() {
		return
	}
	b := l.broker
	leave, err := b.subscribe(b.busSubject(l.channel), b.busLanes, l)
	if err != nil {
		return // closed: nothing comes any more
	}
	l.leave = leave
	if b.attempts.Load() != l.since {
		l.gap(ErrReconnected)
	}
}

// stop ends it. NATS gets to know later.
func (l *listening) stop() {
	if !l.stopped.Swap(true) {
		l.broker.out.do(l.end)
	}
}

// end gives the subscription up, on the goroutine that sends.
func (l *listening) end() {
	if l.leave != nil {
		l.leave()
	}
}

func (l *listening) deliver(m *nats.Msg) {
	if len(m.Data) < senderSize || sender(m.Data[:senderSize]) == l.broker.name || l.stopped.Load() {
		return
	}
	l.receiver.Receive(m.Data[senderSize:])
}

func (l *listening) gap(reason error) {
	if !l.stopped.Load() {
		l.receiver.Gap(reason)
	}
}
