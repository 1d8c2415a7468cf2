package engine_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// notes is a Relay that notes what it is called with.
type notes struct {
	mu        sync.Mutex
	open      map[string]bool
	changes   int
	confused  []string // topics that opened or closed twice in a row
	published []engine.Message
	err       error
}

func (n *notes) TopicOpened(topic string) { n.note(topic, true) }

func (n *notes) TopicClosed(topic string) { n.note(topic, false) }

func (n *notes) note(topic string, open bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		n.open = make(map[string]bool)
	}
	if n.open[topic] == open {
		n.confused = append(n.confused, topic)
	}
	n.open[topic] = open
	n.changes++
}

func (n *notes) Publish(topic string, m engine.Message) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.published = append(n.published, m)
	return n.err
}

func (n *notes) isOpen(topic string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open[topic]
}

// take returns what was published since the last call.
func (n *notes) take() []engine.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.published
	n.published = nil
	return all
}

// A relay gets what is published in any way, once, with what a receiver needs; what is
// delivered for it stays here.
func TestRelayGetsWhatIsPublished(t *testing.T) {
	n := &notes{}
	r := openRoom(t, &engine.Server{Loops: 2, Relay: n, MaxRetained: 2000})
	c, ws := r.join()
	prepared, err := engine.Prepare(engine.Binary, []byte("prepared"))
	if err != nil {
		t.Fatal(err)
	}
	handle := r.srv.Topic("room")
	handle.Publish(engine.TextMessage("known")) // from here on the handle knows the topic
	c.wantMessage(engine.Text, "known")
	n.take()
	data := []byte("server")
	for _, tt := range []struct {
		m       engine.Message
		publish func(engine.Message) (engine.Delivery, error)
		want    string
		queued  int
	}{
		{engine.TextMessage(data), func(m engine.Message) (engine.Delivery, error) { return r.srv.Publish("room", m) }, "server", 1},
		{engine.TextMessage("handle"), handle.Publish, "handle", 1},
		{engine.Message{Op: engine.Binary, Data: []byte("kept"), Key: "k", Retain: true}, handle.Publish, "kept", 1},
		{engine.Message{Prepared: prepared, Key: "p"}, handle.Publish, "prepared", 1},
		{engine.TextMessage("its own"), func(m engine.Message) (engine.Delivery, error) { return ws.Publish("room", m) }, "its own", 0},
		{engine.TextMessage("nobody"), func(m engine.Message) (engine.Delivery, error) { return r.srv.Publish("empty", m) }, "nobody", 0},
	} {
		d, err := tt.publish(tt.m)
		if err != nil || d != queued(tt.queued) {
			t.Errorf("%s: %+v, %v", tt.want, d, err)
		}
		op := tt.m.Op
		if tt.m.Prepared != nil {
			op = engine.Binary
		}
		if tt.queued > 0 {
			c.wantMessage(op, tt.want)
		}
		got := n.take()
		if len(got) != 1 || got[0].Op != op || string(got[0].Data) != tt.want || got[0].Key != tt.m.Key || got[0].Retain != tt.m.Retain || got[0].Prepared != nil {
			t.Errorf("%s: relayed %+v", tt.want, got)
		}
	}
	clear(data)
	if d, err := r.srv.Deliver("room", engine.TextMessage("from elsewhere")); err != nil || d != queued(1) {
		t.Errorf("Deliver: %+v, %v", d, err)
	}
	c.wantMessage(engine.Text, "from elsewhere")
	if d, err := handle.Deliver(engine.TextMessage("by a handle")); err != nil || d != queued(1) {
		t.Errorf("Topic.Deliver: %+v, %v", d, err)
	}
	c.wantMessage(engine.Text, "by a handle")
	if _, err := r.srv.Publish("room", engine.Message{Op: codec.Ping}); !errors.Is(err, engine.ErrNotData) {
		t.Errorf("a ping: %v", err)
	}
	if _, err := r.srv.Publish("room", engine.Message{Op: engine.Text, Data: pattern(3000), Retain: true}); !errors.Is(err, engine.ErrRetained) {
		t.Errorf("no room: %v", err)
	}
	if got := n.take(); len(got) > 0 {
		t.Errorf("relayed %+v", got)
	}
	n.err = errors.New("no connection")
	d, err := r.srv.Publish("room", engine.TextMessage("here"))
	if d != queued(1) || !errors.Is(err, engine.ErrRelay) || !errors.Is(err, n.err) || errors.Is(err, engine.ErrBackpressure) {
		t.Errorf("without a connection: %+v, %v", d, err)
	}
	c.wantMessage(engine.Text, "here")
	if _, err := (&engine.Server{Relay: n}).Publish("room", engine.TextMessage("early")); !errors.Is(err, n.err) || len(n.take()) != 2 {
		t.Errorf("before the server has started: %v", err)
	}
}

// A publish that a loop refuses is for the other servers all the same.
func TestRelayGetsWhatALoopRefuses(t *testing.T) {
	n := &notes{}
	r := openRoom(t, &engine.Server{Loops: 1, Relay: n, Slow: engine.Slow{Limit: 3400}})
	_, ws := r.join()
	release := sync.OnceFunc(hold(t, ws))
	t.Cleanup(release)
	text := string(pattern(1000))
	for range 3 {
		r.publish(text, queued(1))
	}
	d, err := r.srv.Publish("room", engine.TextMessage(text))
	wantRefused(t, 1, d, err)
	if errors.Is(err, engine.ErrRelay) || len(n.take()) != 4 {
		t.Errorf("%v", err)
	}
}

// C09, here: whatever races, a topic is open while it has subscribers, and each change
// is noted once.
func TestRelayKnowsWhichTopicsHaveSubscribers(t *testing.T) {
	n := &notes{}
	srv := &engine.Server{Loops: 2, Relay: n}
	joined := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) { joined <- ws }
	addr := listen(t, srv)
	srv.Topic("t0").FlushEvery(1) // which keeps it when nobody is there
	var racing sync.WaitGroup
	for i := range 20 {
		client := dialEngine(t, addr, nil)
		ws := within(t, "OnUpgrade", joined)
		for g := range 2 {
			racing.Go(func() {
				for j := range 200 {
					topic := fmt.Sprint("t", (j+g)%3)
					if err := ws.Subscribe(topic); err != nil && !errors.Is(err, engine.ErrClosed) {
						t.Error(err)
					}
					if _, err := srv.Publish(topic, engine.TextMessage("x")); err != nil {
						t.Error(err)
					}
					if j%3 != g {
						_ = ws.Unsubscribe(topic)
					}
				}
				if i%2 == 0 {
					client.CloseNow()
					within(t, "the end", ws.Done())
				}
			})
		}
	}
	racing.Wait()
	keeper := dialEngine(t, addr, nil)
	ws := within(t, "OnUpgrade", joined)
	for i := range 3 {
		if err := ws.Subscribe(fmt.Sprint("t", i)); err != nil || !n.isOpen(fmt.Sprint("t", i)) {
			t.Errorf("t%d has a subscriber and is not open (%v)", i, err)
		}
	}
	keeper.CloseNow()
	srv.Each(func(ws *engine.WebSocket) { ws.CloseNow() })
	eventually(t, "all topics are closed", func() bool { return !n.isOpen("t0") && !n.isOpen("t1") && !n.isOpen("t2") })
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.confused) > 0 || n.changes < 6 {
		t.Errorf("%d changes, not in turn: %v", n.changes, n.confused)
	}
}

// Without a relay, what a publish asks for it is no allocation.
func TestServerWithoutRelayPaysNothing(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	_, ws := r.join()
	prepared, err := engine.Prepare(engine.Text, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	handle := r.srv.Topic("room")
	n := make(chan float64, 1)
	if err := ws.Do(func() { // nothing is flushed meanwhile
		_ = ws.Unsubscribe("room")
		n <- testing.AllocsPerRun(1000, func() {
			_, _ = r.srv.Publish("room", engine.TextMessage("text"))
			_, _ = handle.Publish(engine.Message{Prepared: prepared})
			_, _ = ws.Publish("room", engine.TextMessage("text"))
		})
	}); err != nil {
		t.Fatal(err)
	}
	if n := within(t, "the loop", n); n > 0 {
		t.Errorf("publishes that reach nobody allocate %v times", n)
	}
}
