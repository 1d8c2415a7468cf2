package service

import "github.com/fanloop-go/fanloop/engine/cluster"

// nobody is the bus of a node that cannot have others. Whatever is shared with them would
// cost memory for each topic, and a subscription of the node's own NATS server.
type nobody struct{}

// Send implements cluster.Bus.
func (nobody) Send(c cluster.Channel, _ []byte) error { return c.Check() }

// Listen implements cluster.Bus.
func (nobody) Listen(c cluster.Channel, _ cluster.Receiver) (func(), error) {
	return func() {}, c.Check()
}

// topicBus is the bus for what this node and others tell one another about topics.
func (s *Service) topicBus() cluster.Bus {
	if s.others() == nil {
		return nobody{}
	}
	return cluster.Lingering(punctual{s.store.broker, s}, 0)
}
