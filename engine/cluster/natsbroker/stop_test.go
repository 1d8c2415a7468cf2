package natsbroker

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// heard is a Receiver that collects.
type heard struct{ got []string }

func (h *heard) Receive(data []byte) { h.got = append(h.got, string(data)) }
func (h *heard) Gap(reason error)    { h.got = append(h.got, reason.Error()) }

// Once stop has returned nothing is delivered, though NATS does not know of it yet: the
// goroutine that would say so has not run.
func TestNothingComesAfterStop(t *testing.T) {
	h := &heard{}
	b := &Broker{out: newOutbox(), name: newSender()}
	l := &listening{broker: b, channel: cluster.Channel{Kind: "talk", Topic: "room"}, receiver: h}
	other := newSender()
	l.deliver(&nats.Msg{Data: append(other[:], "one"...)})
	l.stop()
	l.deliver(&nats.Msg{Data: append(other[:], "two"...)})
	l.gap(ErrReconnected)
	if want := []string{"one"}; !slices.Equal(h.got, want) {
		t.Errorf("got %q, want %q", h.got, want)
	}
}
