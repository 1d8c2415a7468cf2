package relay_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// never is a Tail that no test waits for.
const never = time.Hour

// What one server publishes, in any way, the subscribers of all get, once, as it was.
func TestPublishReachesAllServers(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	one := startNode(t, store.Connect(), relay.Config{Tail: never}, nil)
	two := startNode(t, store.Connect(), relay.Config{Tail: never}, func(s *engine.Server) {
		s.Compression = &engine.Compression{}
	})
	names := []string{"room", "a.b *>\x00 ", strings.Repeat("\u00e9", 100), strings.Repeat("x", cluster.MaxTopic)} // C18
	a, b, other := one.join(names...), two.join(names...), two.join("another")
	listens(t, two, len(names)+1)
	listens(t, one, len(names))
	for i, name := range names {
		one.publish(name, fmt.Sprint("one ", i))
		a.want(texts(i, "one", "two")[:2*i+1]...)
		b.want(texts(i, "one", "two")[:2*i+1]...)
		two.publish(name, fmt.Sprint("two ", i))
		a.want(texts(i, "one", "two")...)
		b.want(texts(i, "one", "two")...)
	}
	prepared, err := engine.Prepare(engine.Binary, []byte("prepared"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Publish("another", engine.Message{Prepared: prepared}); err != nil {
		t.Error(err)
	}
	if _, err := a.ws.Publish("another", engine.TextMessage("of a WebSocket")); err != nil {
		t.Error(err)
	}
	if _, err := one.Topic("another").Publish(engine.TextMessage("by a handle")); err != nil {
		t.Error(err)
	}
	other.want("prepared", "of a WebSocket", "by a handle")
}

func texts(upTo int, from ...string) (all []string) {
	for i := range upTo + 1 {
		for _, who := range from {
			all = append(all, fmt.Sprint(who, " ", i))
		}
	}
	return all
}

// listens waits until n listens to as many topics.
func listens(t *testing.T, n *node, topics int) {
	t.Helper()
	until(t, "the node listens", func() bool { return n.Stats().Topics == topics })
}

// Topics that Local names stay on their server.
func TestLocalTopicsStay(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	config := relay.Config{Tail: never, Local: func(topic string) bool { return topic == "own" }}
	one := startNode(t, store.Connect(), config, nil)
	two := startNode(t, store.Connect(), config, nil)
	a, b := one.join("room", "own"), two.join("room", "own")
	listens(t, two, 1)
	one.publish("own", "for one")
	one.publish("room", "for all")
	a.want("for one", "for all")
	b.want("for all")
}

// A message with a key replaces the one that waits, and a retained one is there for who
// subscribes later, on each server that listened.
func TestKeysAndRetainReachOtherServers(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	one := startNode(t, store.Connect(), relay.Config{Tail: never}, nil)
	two := startNode(t, store.Connect(), relay.Config{Tail: never}, func(s *engine.Server) { s.MaxRetained = 1000 })
	b := two.join("prices")
	listens(t, two, 1)
	for _, price := range []string{"1", "2", "3"} {
		if _, err := one.Publish("prices", engine.Message{Op: engine.Text, Data: []byte(price), Key: "ACME", Retain: true}); err != nil {
			t.Fatal(err)
		}
	}
	b.want("1", "2", "3")
	two.join("prices").want("3")
	one.join("prices").want("3")
	large := strings.Repeat("x", 2000) // more than two may retain
	if _, err := one.Publish("prices", engine.Message{Op: engine.Text, Data: []byte(large), Key: "x", Retain: true}); err != nil {
		t.Fatal(err)
	}
	b.want("1", "2", "3", large)
}

// What the bus does not take is an error for the publisher, and the subscribers here get it.
func TestPublisherLearnsWhatTheBusRefuses(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	n := startNode(t, conn, relay.Config{Tail: never}, nil)
	c := n.join("room", "", strings.Repeat("x", cluster.MaxTopic+1))
	listens(t, n, 1)
	refused := func(topic, text string, want error) {
		t.Helper()
		d, err := n.Publish(topic, engine.TextMessage(text))
		if d.Queued != 1 || !errors.Is(err, engine.ErrRelay) || !errors.Is(err, want) {
			t.Errorf("%.10q: %+v, %v; want %v", text, d, err, want)
		}
	}
	refused("", "no name", cluster.ErrTopic)
	refused(strings.Repeat("x", cluster.MaxTopic+1), "long name", cluster.ErrTopic)
	large := string(bytes.Repeat([]byte("x"), clustertest.MaxSend))
	refused("room", large, cluster.ErrTooLarge)
	conn.Cut()
	refused("room", "no connection", cluster.ErrUnavailable)
	c.want("no name", "long name", large, "gap room", "no connection")
	n.Relay.Close()
	refused("room", "closed", cluster.ErrClosed)
	if s := n.Stats(); s.Failed != 2 || s.Sent != 0 || s.Topics != 0 || conn.Listened() != 0 {
		t.Errorf("%+v, listens to %d", s, conn.Listened())
	}
}

// A message that is lost on the way is a gap: reported before the next one, or, if it was
// the last, when its server says so. One that comes twice is delivered once.
func TestLossIsReported(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	bus := &lossy{Bus: store.Connect()}
	one := startNode(t, bus, relay.Config{Tail: 50 * time.Millisecond}, nil)
	two := startNode(t, store.Connect(), relay.Config{}, nil)
	c := two.join("room")
	listens(t, two, 1)
	one.publish("room", "1")
	c.want("1")
	bus.loseNext(2)
	one.publish("room", "2")
	one.publish("room", "3")
	until(t, "they are lost", func() bool { return bus.left() == 0 })
	one.publish("room", "4")
	c.want("1", "gap room", "4")
	bus.loseNext(2)
	one.publish("room", "5")
	until(t, "5 and the first head are lost", func() bool { return bus.left() == 0 })
	c.want("1", "gap room", "4", "gap room")
	one.publish("room", "6")
	c.want("1", "gap room", "4", "gap room", "6")
	if s := two.Stats(); s.Holes != 2 || s.Received != 3 {
		t.Errorf("%+v", s)
	}
}

// What others publish before the server listens is a gap, in which nobody who subscribed
// before waits for ever; what they published before the subscription is none.
func TestWhatIsPublishedBeforeTheServerListensIsAGap(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	bus1, bus2 := &lossy{Bus: store.Connect()}, &lateBus{Bus: store.Connect(), ready: make(chan struct{})}
	one := startNode(t, bus1, relay.Config{Tail: 20 * time.Millisecond}, nil)
	two := startNode(t, bus2, relay.Config{}, nil)
	one.publish("quiet", "long ago")
	until(t, "both heads are sent", func() bool { return bus1.count() == 3 })
	c := two.join("room", "quiet")
	one.publish("room", "nobody listens")
	close(bus2.ready)
	c.want("gap room")
	one.publish("quiet", "new")
	c.want("gap room", "new")
}

// lateBus listens when it is allowed to.
type lateBus struct {
	cluster.Bus
	ready chan struct{}
}

func (b *lateBus) Listen(c cluster.Channel, r cluster.Receiver) (func(), error) {
	<-b.ready
	return b.Bus.Listen(c, r)
}

// A gap of the bus is one for all topics, and messages are counted anew behind it.
func TestGapOfTheBusConcernsAllTopics(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	one := startNode(t, store.Connect(), relay.Config{Tail: never}, nil)
	two := startNode(t, conn, relay.Config{}, nil)
	a, b := two.join("a"), two.join("b")
	listens(t, two, 2)
	one.publish("a", "1")
	a.want("1")
	conn.Cut()
	a.want("1", "gap a")
	b.want("gap b")
	conn.Heal()
	a.want("1", "gap a", "gap a")
	one.publish("a", "2")
	a.want("1", "gap a", "gap a", "2")
	b.want("gap b", "gap b")
}

// The topics of a server are listened to while they have subscribers, and for a while.
func TestTopicsLinger(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	counted := &counting{Bus: store.Connect()}
	n := startNode(t, counted, relay.Config{Linger: 100 * time.Millisecond, Tail: never}, nil)
	c := n.join("room", "other")
	listens(t, n, 2)
	for range 10 { // shorter than the lingering, or listened to anew
		if err := c.ws.Unsubscribe("room"); err != nil {
			t.Fatal(err)
		}
		c.subscribe("room")
	}
	if err := errors.Join(c.ws.Unsubscribe("room"), c.ws.Unsubscribe("other")); err != nil {
		t.Fatal(err)
	}
	until(t, "it listens to nothing", func() bool { return n.Stats() == relay.Stats{} })
	c.subscribe("room")
	listens(t, n, 1)
	if listens, stops := counted.calls(); listens != stops+1 || listens > 13 {
		t.Errorf("listened %d times, stopped %d times", listens, stops)
	}
}

// counting counts what changes the routes of a bus.
type counting struct {
	cluster.Bus
	mu             sync.Mutex
	listens, stops int
}

func (b *counting) Listen(c cluster.Channel, r cluster.Receiver) (func(), error) {
	stop, err := b.Bus.Listen(c, r)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listens++
	return func() {
		b.mu.Lock()
		b.stops++
		b.mu.Unlock()
		stop()
	}, err
}

func (b *counting) calls() (listens, stops int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.listens, b.stops
}

func TestJoin(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	srv := &engine.Server{}
	if _, err := relay.Join(srv, store.Connect(), relay.Config{Name: "a.b"}); !errors.Is(err, cluster.ErrTopic) || srv.Relay != nil {
		t.Errorf("a name with a dot: %v", err)
	}
	r, err := relay.Join(srv, store.Connect(), relay.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer r.Close()
	if _, err := relay.Join(srv, store.Connect(), relay.Config{}); !errors.Is(err, relay.ErrJoined) {
		t.Errorf("a second time: %v", err)
	}
	begun := startNode(t, store.Connect(), relay.Config{}, nil)
	begun.Server.Relay = nil
	if _, err := relay.Join(begun.Server, store.Connect(), relay.Config{}); !errors.Is(err, relay.ErrJoined) {
		t.Errorf("a server that runs: %v", err)
	}
	if _, err := srv.Publish("room", engine.TextMessage("before the server runs")); err != nil || r.Stats().Sent != 1 {
		t.Errorf("%v, %+v", err, r.Stats())
	}
}
