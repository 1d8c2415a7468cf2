package service

import "github.com/fanloop-go/fanloop/engine/cluster"

// late reports whether this node stood still for so long that others may count it as ended.
// Then all its connections have been dropped when it returns: what was ordered meanwhile, such
// as to disconnect a user, comes behind the next beat. Ask before a command is carried out, and
// before anything goes to clients that may be later than such an order. Any goroutine.
func (s *Service) late() bool {
	n := s.beating.Load()
	return n != nil && n.Late()
}

// dropAll drops all connections. Their clients come back. When it returns, nothing goes to any
// of them.
func (s *Service) dropAll() {
	s.dropping.Lock() // who comes second waits for the first
	defer s.dropping.Unlock()
	all := s.registry.clear()
	if len(all) > 0 {
		s.log.Warn("this node stood still, and others may have counted it as ended: its connections are dropped", "connections", len(all))
	}
	for _, c := range all {
		c.ws.CloseNow()
	}
}

// punctual is a bus that asks late before each message.
type punctual struct {
	cluster.Bus
	service *Service
}

// Listen implements cluster.Bus.
func (p punctual) Listen(c cluster.Channel, r cluster.Receiver) (func(), error) {
	return p.Bus.Listen(c, punctualReceiver{r, p.service})
}

type punctualReceiver struct {
	cluster.Receiver
	service *Service
}

// Receive implements cluster.Receiver.
func (r punctualReceiver) Receive(data []byte) {
	r.service.late()
	r.Receiver.Receive(data)
}
