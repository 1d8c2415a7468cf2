package fanout

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// million is what it says, and less where the race detector would take minutes.
var million = func() int {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return 100_000
		}
	}
	return 1_000_000
}()

// deaf implements Connections for connections that nothing is asked of.
type deaf struct{ Connections }

// conn is what a Member is made of.
type conn struct {
	conn loop.Conn
	out  outlet.Outlet
}

// member makes a member of c, which belongs to f.
func (c *conn) member(f *fan) *Member { return newMember(&c.conn, &c.out, f) }

// bareHub is a hub over two loops that have no connections. Its members share
// one connection, which is closed: what is published to them goes nowhere.
func bareHub(t *testing.T) (*Hub, *conn) {
	t.Helper()
	g, err := loop.Start(loop.Config{Loops: 2, BlockedAfter: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		<-g.Done()
	})
	c := new(conn)
	c.out.MoveLocked(outlet.Closed)
	return New(g.Loops(), Config{Slow: Slow{Limit: 1 << 20}, Connections: deaf{}}), c
}

// textMessage encodes p.
func textMessage[T string | []byte](p T) Message {
	return Message{Frames: frames.New(codec.Text, []byte(p), 0)}
}

// publish publishes msg if the topic has subscribers.
func (h *Hub) publish(topic string, msg Message) (Delivery, error) {
	if t := h.Find(topic); t != nil {
		return h.PublishTo(t, msg, nil)
	}
	return Delivery{}, nil
}

func heapInUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// grown reports how much the heap grew by since before, for each of n, and wants
// at most limit bytes.
func grown(t *testing.T, before, n, limit int, what string) {
	t.Helper()
	each := (heapInUse() - before) / n
	t.Logf("%d bytes for each %s", each, what)
	if each > limit {
		t.Errorf("%d bytes for each %s, want at most %d", each, what, limit)
	}
}

func (h *Hub) sizes() (topics, subscribers int) {
	for i := range h.shards {
		topics += len(h.shards[i].topics)
		for _, t := range h.shards[i].topics {
			for _, p := range *t.parts.Load() {
				subscribers += len(p.subs)
			}
		}
	}
	return topics, subscribers
}

func TestAMillionTopicsWithOneSubscriberEach(t *testing.T) {
	const members = 1000
	h, c := bareHub(t)
	names := make([]string, million)
	for i := range names {
		names[i] = fmt.Sprintf("user:%08d", i)
	}
	all := make([]*Member, members)
	for i := range all {
		all[i] = c.member(h.fans[i%2])
	}
	before := heapInUse()
	for i, name := range names {
		if err := h.Subscribe(all[i%members], name); err != nil {
			t.Fatal(err)
		}
	}
	grown(t, before, million, 500, "topic with one subscriber")
	if topics, subs := h.sizes(); topics != million || subs != million {
		t.Fatalf("%d topics, %d subscribers", topics, subs)
	}
	for range 1000 {
		i := rand.IntN(million)
		d, err := h.publish(names[i], textMessage(""))
		if err != nil || d != (Delivery{Queued: 1}) {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	rand.Shuffle(million, func(i, j int) { names[i], names[j] = names[j], names[i] })
	for i, name := range names[:million/2] {
		var n int
		if _, err := fmt.Sscanf(name, "user:%d", &n); err != nil {
			t.Fatal(err)
		}
		h.Unsubscribe(all[n%members], name)
		if i%(million/10) == 0 {
			d, err := h.publish(name, textMessage(""))
			if err != nil || d != (Delivery{}) {
				t.Fatalf("to a topic without subscribers: %+v, %v", d, err)
			}
		}
	}
	for _, m := range all {
		m.LeaveAll()
	}
	waitForLoops(h)
	if topics, subs := h.sizes(); topics+subs != 0 {
		t.Errorf("%d topics and %d subscribers are left", topics, subs)
	}
	runtime.KeepAlive(names)
}

func TestOneTopicWithAMillionSubscribers(t *testing.T) {
	h, c := bareHub(t)
	all := make([]*Member, million)
	before := heapInUse()
	for i := range all {
		all[i] = c.member(h.fans[i%2])
		if err := h.Subscribe(all[i], "everybody"); err != nil {
			t.Fatal(err)
		}
	}
	grown(t, before, million, 90, "subscriber of one topic, its membership included")
	for range 3 {
		d, err := h.publish("everybody", textMessage("hello"))
		if err != nil || d != (Delivery{Queued: million}) {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	rand.Shuffle(million, func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, m := range all { // while the loops flush
		h.Unsubscribe(m, "everybody")
		if i == million/2 {
			if d, err := h.publish("everybody", textMessage("")); err != nil || d.Queued != million/2-1 {
				t.Fatalf("%+v, %v", d, err)
			}
		}
	}
	waitForLoops(h)
	if topics, subs := h.sizes(); topics+subs != 0 {
		t.Errorf("%d topics and %d subscribers are left", topics, subs)
	}
	for _, f := range h.fans {
		if len(f.changes)+len(f.due)+len(f.loaded) != 0 || f.flushing || f.busy.Load() {
			t.Error("a fan is not at rest")
		}
	}
}

// waitForLoops returns when every loop has done what was asked of it.
func waitForLoops(h *Hub) {
	for range 2 { // a flush may ask for another
		for _, f := range h.fans {
			done := make(chan struct{})
			if f.loop.Do(func() { close(done) }) == nil {
				<-done
			}
		}
	}
}
