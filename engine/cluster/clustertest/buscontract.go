package clustertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// TestBus runs the tests that every Bus has to pass. open returns two connections
// that share their channels, and with no others.
func TestBus(t *testing.T, open func(t *testing.T) (a, b cluster.Bus)) {
	for name, test := range map[string]func(*busContract){
		"Send":      (*busContract).send,
		"NoEcho":    (*busContract).noEcho,
		"Order":     (*busContract).order,
		"Stop":      (*busContract).stop,
		"Channels":  (*busContract).channels,
		"Names":     (*busContract).names,
		"Limits":    (*busContract).limits,
		"Lingering": (*busContract).lingering,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			test(&busContract{t, a, b})
		})
	}
}

type busContract struct {
	*testing.T
	a, b cluster.Bus
}

// mailbox is a Receiver that collects.
type mailbox struct {
	mu   sync.Mutex
	got  []string
	gaps int
	came chan struct{}
}

func (m *mailbox) Receive(data []byte) {
	m.mu.Lock()
	m.got = append(m.got, string(data))
	m.mu.Unlock()
	select {
	case m.came <- struct{}{}:
	default:
	}
}

func (m *mailbox) Gap(error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gaps++
}

func (m *mailbox) list() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

var talk = cluster.Channel{Kind: "talk", Topic: "room"}

// listen returns a mailbox that gets what is sent from now on by the other bus.
func (c *busContract) listen(bus cluster.Bus, ch cluster.Channel) (*mailbox, func()) {
	c.Helper()
	m := &mailbox{came: make(chan struct{}, 1)}
	stop, err := bus.Listen(ch, m)
	if err != nil {
		c.Fatalf("Listen %+v: %v", ch, err)
	}
	c.settle(bus)
	return m, stop
}

// settle returns when the bus has what was asked of it so far: a message that the
// other one sends back on a channel of its own.
func (c *busContract) settle(bus cluster.Bus) {
	c.Helper()
	other := c.a
	if bus == c.a {
		other = c.b
	}
	box := &mailbox{came: make(chan struct{}, 1)}
	stop, err := bus.Listen(cluster.Channel{Kind: "settle", Topic: "it"}, box)
	if err != nil {
		c.Fatal(err)
	}
	defer stop()
	for limit := time.After(patience); ; {
		if err := other.Send(cluster.Channel{Kind: "settle", Topic: "it"}, nil); err != nil {
			c.Fatalf("Send: %v", err)
		}
		select {
		case <-box.came:
			return
		case <-time.After(20 * time.Millisecond):
		case <-limit:
			c.Fatal("nothing is delivered")
		}
	}
}

func (c *busContract) post(bus cluster.Bus, ch cluster.Channel, data string) {
	c.Helper()
	if err := bus.Send(ch, []byte(data)); err != nil {
		c.Fatalf("Send %+v: %v", ch, err)
	}
}

// expect waits until the mailbox has as many as are wanted, and compares.
func (c *busContract) expect(m *mailbox, want ...string) {
	c.Helper()
	for limit := time.After(patience); len(m.list()) < len(want); {
		select {
		case <-m.came:
		case <-limit:
			c.Fatalf("got %q, want %q", m.list(), want)
		}
	}
	if got := m.list(); !slices.Equal(got, want) {
		c.Errorf("got %q, want %q", got, want)
	}
}

// send: who listens gets the data, which the sender may change afterwards.
func (c *busContract) send() {
	first, _ := c.listen(c.b, talk)
	second, _ := c.listen(c.b, talk)
	data := []byte("hello")
	if err := c.a.Send(talk, data); err != nil {
		c.Fatal(err)
	}
	copy(data, "*****")
	c.post(c.a, talk, "")
	c.expect(first, "hello", "")
	c.expect(second, "hello", "")
}

// noEcho: the receivers of a bus do not get what it sends.
func (c *busContract) noEcho() {
	own, _ := c.listen(c.a, talk)
	other, _ := c.listen(c.b, talk)
	c.post(c.a, talk, "of a")
	c.expect(other, "of a")
	c.post(c.b, talk, "of b")
	c.expect(own, "of b")
}

// order: what one node sends on a channel arrives in order where nothing is lost.
func (c *busContract) order() {
	m, _ := c.listen(c.b, talk)
	var want []string
	for i := range 500 {
		want = append(want, fmt.Sprint(i))
		c.post(c.a, talk, want[i])
	}
	c.expect(m, want...)
}

// stop: nothing comes afterwards, and others are not concerned.
func (c *busContract) stop() {
	left, stop := c.listen(c.b, talk)
	stays, _ := c.listen(c.b, talk)
	c.post(c.a, talk, "one")
	c.expect(left, "one")
	stop()
	stop()
	c.post(c.a, talk, "two")
	c.expect(stays, "one", "two")
	c.settle(c.b)
	c.expect(left, "one")
}

// channels: a topic of another kind is another channel.
func (c *busContract) channels() {
	m, _ := c.listen(c.b, talk)
	other := cluster.Channel{Kind: "other", Topic: talk.Topic}
	n, _ := c.listen(c.b, other)
	c.post(c.a, other, "other")
	c.post(c.a, talk, "talk")
	c.expect(m, "talk")
	c.expect(n, "other")
}

// names: every topic is a channel of its own (C18).
func (c *busContract) names() {
	var boxes []*mailbox
	for _, name := range Names {
		m := &mailbox{came: make(chan struct{}, 1)}
		if _, err := c.b.Listen(cluster.Channel{Kind: "talk", Topic: name}, m); err != nil {
			c.Fatalf("%q: %v", name, err)
		}
		boxes = append(boxes, m)
	}
	c.settle(c.b)
	for _, name := range Names {
		c.post(c.a, cluster.Channel{Kind: "talk", Topic: name}, name)
	}
	for i, name := range Names {
		c.expect(boxes[i], name)
	}
}

// limits: what cannot be sent is refused, and nothing else is.
func (c *busContract) limits() {
	for _, ch := range []cluster.Channel{
		{Topic: "x"}, {Kind: "a.b", Topic: "x"}, {Kind: "*", Topic: "x"}, {Kind: "talk"},
		{Kind: strings.Repeat("k", 65), Topic: "x"},
		{Kind: "talk", Topic: strings.Repeat("x", cluster.MaxTopic+1)},
	} {
		_, listen := c.a.Listen(ch, &mailbox{})
		if send := c.a.Send(ch, nil); !errors.Is(send, cluster.ErrTopic) || !errors.Is(listen, cluster.ErrTopic) {
			c.Errorf("%+v: %v, %v; want ErrTopic", ch, send, listen)
		}
	}
	if err := c.a.Send(talk, make([]byte, 64<<20)); !errors.Is(err, cluster.ErrTooLarge) {
		c.Errorf("64 MiB: %v", err)
	}
	m, _ := c.listen(c.b, talk)
	large := strings.Repeat("x", 100<<10)
	c.post(c.a, talk, large)
	c.expect(m, large)
}

// lingering: one subscription for all receivers of a node.
func (c *busContract) lingering() {
	shared := cluster.Lingering(c.b, time.Minute)
	first, second := &mailbox{came: make(chan struct{}, 1)}, &mailbox{came: make(chan struct{}, 1)}
	stop, err := shared.Listen(talk, first)
	if err != nil {
		c.Fatal(err)
	}
	if _, err := shared.Listen(talk, second); err != nil {
		c.Fatal(err)
	}
	c.settle(c.b)
	c.post(c.a, talk, "one")
	c.expect(first, "one")
	c.expect(second, "one")
	stop()
	c.post(c.a, talk, "two")
	c.expect(second, "one", "two")
	c.expect(first, "one")
}
