package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// RoomConfig says what Room measures.
type RoomConfig struct {
	Sockets    int // all in one room
	PerProcess int // sockets of a node process, and of a process of clients
	Messages   int
	Size       int           // bytes of a message
	Every      time.Duration // between two messages
	// Self is this program and its arguments for a child, which calls Child.
	Self []string
	Show func(phase string)
}

// RoomResult is what Room measured.
type RoomResult struct {
	Nodes      int
	Sockets    int
	Messages   int
	Deliveries int       // of Sockets times Messages
	Last       Quantiles // from publish to the last delivery of a message
	// CPU is that of the node processes for one delivery, and Memory what they take for
	// one socket; 0: not known on this system. NATS and the clients are not in them.
	CPU    time.Duration
	Memory int64
}

// room is one run of Room.
type room struct {
	RoomConfig
	nodes, crowds []*child
	broker        *natsbroker.Broker
}

// Room measures one message to many sockets, which node processes share.
func Room(ctx context.Context, c RoomConfig) (r *RoomResult, err error) {
	if c.Sockets < 1 || c.PerProcess < 1 || c.Messages < 1 || c.Size < stampSize {
		return nil, fmt.Errorf("%w: sockets and messages are positive, and a message has %d bytes at least", ErrConfig, stampSize)
	}
	dir, err := os.MkdirTemp("", "fanloop-room-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c.Show("NATS")
	nats, err := natsserver.Start(natsserver.Options{Dir: dir, Addr: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	defer nats.Close()
	m := &room{RoomConfig: c}
	if m.broker, err = natsbroker.Connect(ctx, natsbroker.Config{URL: nats.URL(), Shards: 1}); err != nil {
		return nil, err
	}
	defer m.broker.Close()
	defer func() { err = errors.Join(err, m.end()) }()
	return m.run(ctx, nats.URL())
}

func (m *room) run(ctx context.Context, url string) (*RoomResult, error) {
	if err := m.open(ctx, url); err != nil {
		return nil, err
	}
	before, err := m.usage(true)
	if err != nil {
		return nil, err
	}
	m.Show("connect")
	if err := m.gather(); err != nil {
		return nil, err
	}
	joined, err := m.usage(true)
	if err != nil {
		return nil, err
	}
	begun, err := m.usage(false) // without the time that looking took
	if err != nil {
		return nil, err
	}
	r := &RoomResult{Nodes: len(m.nodes), Sockets: m.Sockets, Messages: m.Messages}
	if joined.RSS > 0 {
		r.Memory = (int64(joined.RSS) - int64(before.RSS)) / int64(m.Sockets)
	}
	m.Show("publish")
	last := newHistogram()
	for i := range m.Messages {
		took, n, err := m.publish(ctx, i)
		if err != nil {
			return r, err
		}
		_ = last.RecordValue(max(1, int64(took)))
		r.Deliveries += n
		if err := pause(ctx, m.Every); err != nil {
			return r, err
		}
	}
	after, err := m.usage(false)
	if err != nil {
		return r, err
	}
	r.Last = quantiles(last)
	r.CPU = (after.CPU - begun.CPU) / time.Duration(max(1, r.Deliveries))
	if want := m.Sockets * m.Messages; r.Deliveries != want {
		return r, fmt.Errorf("history: %d deliveries of %d", r.Deliveries, want)
	}
	return r, nil
}

// open starts the nodes.
func (m *room) open(ctx context.Context, url string) error {
	for left := m.Sockets; left > 0; left -= m.PerProcess {
		n, err := startChild(ctx, m.Self, order{Node: true, URL: url})
		if err != nil {
			return err
		}
		m.nodes = append(m.nodes, n)
	}
	for _, n := range m.nodes {
		r, err := n.next()
		if err != nil {
			return err
		}
		n.addr = r.Addr
	}
	return nil
}

// gather starts the clients, and returns when all have the answer to their
// subscription and are live.
func (m *room) gather() error {
	left := m.Sockets
	for _, n := range m.nodes {
		conns := min(left, m.PerProcess)
		left -= conns
		c, err := startChild(n.ctx, m.Self, order{URL: n.addr, Conns: conns, Size: m.Size, Messages: m.Messages})
		if err != nil {
			return err
		}
		m.crowds = append(m.crowds, c)
	}
	for _, c := range m.crowds {
		if _, err := c.next(); err != nil {
			return err
		}
	}
	for limit := time.Now().Add(settle); ; {
		u, err := m.usage(false)
		switch {
		case err != nil:
			return err
		case u.Live == m.Sockets:
			return nil
		case time.Now().After(limit):
			return fmt.Errorf("history: %d of %d sockets are live", u.Live, m.Sockets)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// publish publishes one message and waits for its deliveries.
func (m *room) publish(ctx context.Context, number int) (took time.Duration, deliveries int, err error) {
	at := time.Now().UnixNano()
	if _, err := m.broker.Publish(ctx, roomName, "", stamped(number, at, m.Size)); err != nil {
		return 0, 0, err
	}
	last := at
	for _, c := range m.crowds {
		if err := c.send(question{Number: number}); err != nil {
			return 0, 0, err
		}
	}
	for _, c := range m.crowds {
		r, err := c.next()
		if err != nil {
			return 0, 0, err
		}
		deliveries += r.Count
		last = max(last, r.Last)
	}
	return time.Duration(last - at), deliveries, nil
}

// usage is that of all nodes together; memory: what they hold too.
func (m *room) usage(memory bool) (all report, err error) {
	for _, n := range m.nodes {
		if err := n.send(question{Memory: memory}); err != nil {
			return all, err
		}
		r, err := n.next()
		if err != nil {
			return all, err
		}
		all.CPU += r.CPU
		all.RSS += r.RSS
		all.Live += r.Live
	}
	return all, nil
}

func (m *room) end() error {
	var errs []error
	for _, c := range append(m.crowds, m.nodes...) {
		errs = append(errs, c.end())
	}
	return errors.Join(errs...)
}
