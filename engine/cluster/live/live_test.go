package live_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// Whoever subscribes without a position gets what comes from then on, on all nodes,
// in one order (C07), encoded once for each node however many subscribe.
func TestLiveIsEncodedOnceForEachNode(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	put(t, conn, "room", "old")
	const each = 20
	for _, s := range []*site{openSite(t, store.Connect(), options{}), openSite(t, store.Connect(), options{})} {
		var peers []*peer
		for range each {
			p := s.dial()
			if f := s.join(p, "room", cluster.Position{}); len(f.Messages) > 0 || f.Reset {
				t.Errorf("the first page is %+v", f)
			}
			peers = append(peers, p)
		}
		until(t, "all are live", func() bool { return s.topics.Stats().Live == each })
		before := s.topics.Stats()
		batch := numbers(1, 50)
		for i := range batch {
			batch[i] = s.addr + batch[i]
		}
		put(t, conn, "room", batch...)
		for _, p := range peers {
			s.wants(p, nil, batch...)
		}
		after := s.topics.Stats()
		if after.Encoded-before.Encoded != 50 || after.Pages != each || after.Delivered-before.Delivered != 50*each {
			t.Errorf("before %+v, after %+v; want 50 messages encoded, %d pages and %d deliveries", before, after, each, 50*each)
		}
	}
}

// A client goes on at another node with the message after its position (C01), from
// memory or history, and without a hole to what is live.
func TestResumeAtAnotherNode(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	put(t, conn, "room", numbers(1, 10)...)
	at := put(t, conn, "room", "m11")
	put(t, conn, "room", numbers(12, 400)...)
	s := openSite(t, store.Connect(), options{})
	for range 3 {
		p := s.dial()
		f := s.join(p, "room", at)
		if f.Reset {
			t.Fatalf("not recovered: %+v", f)
		}
		last := s.wants(p, f.Messages, numbers(12, 400)...)
		if last.At.ID != "m400" {
			t.Errorf("the position behind is %+v", last.At)
		}
	}
}

// A position that is not there (C11, C12) is answered by a reset with the end of the
// topic, once, and what is published then arrives.
func TestLostPositionIsReset(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{MaxPerTopic: 5})
	conn := store.Connect()
	old := put(t, conn, "room", "m1")
	end := put(t, conn, "room", numbers(2, 20)...)
	s := openSite(t, store.Connect(), options{})
	for name, at := range map[string]cluster.Position{
		"older than retention": old,
		"in the future":        {Epoch: end.Epoch, Offset: end.Offset + 100, ID: "x"},
		"wrong epoch":          {Epoch: "other", Offset: end.Offset, ID: end.ID},
		"another id":           {Epoch: end.Epoch, Offset: end.Offset, ID: "x"},
	} {
		p := s.dial()
		f := s.join(p, "room", at)
		if !f.Reset || f.At != end || len(f.Messages) > 0 {
			t.Errorf("%s: %+v, want a reset at %v", name, f, end)
		}
		end = put(t, conn, "room", name)
		s.wants(p, nil, name)
		p.close()
	}
}

// Who has seen a topic empty gets its first message, whoever is first to look.
func TestEmptyTopicIsAPlace(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	put(t, conn, "other", "x")
	s := openSite(t, store.Connect(), options{})
	first, second := s.dial(), s.dial()
	empty := s.join(first, "room", cluster.Position{})
	put(t, conn, "other", "y", "z") // the place behind these is the same
	s.join(second, "room", empty.At)
	until(t, "both are live", func() bool { return s.topics.Stats().Live == 2 })
	put(t, conn, "room", "m1")
	s.wants(first, nil, "m1")
	s.wants(second, nil, "m1")
	third := s.dial()
	s.wants(third, s.join(third, "room", empty.At).Messages, "m1")
}

// big is a message that fills buffers.
func big(i int) string { return numbers(i, i)[0] + strings.Repeat(".", 8<<10) }

var narrow = options{
	limits:     engine.Limits{HighWater: 64 << 10, WriteTimeout: -1, PingInterval: -1},
	sendBuffer: 4096,
	live:       live.Config{Page: cluster.Budget{Bytes: 16 << 10}},
	cluster:    cluster.Config{Ring: cluster.Budget{Messages: 20}},
}

// A reader that stalls under load until the topic has gone far beyond what memory
// keeps (C15) gets everything once it reads: on the same connection, once and in
// order. What waits for it never exceeds its queue's mark, one message and a page.
// Another one is not held up.
func TestSlowReaderCatchesUp(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	s := openSite(t, store.Connect(), narrow)
	slow, fast := s.dial(), s.dial()
	s.join(slow, "room", cluster.Position{})
	ws := <-s.opened
	s.join(fast, "room", cluster.Position{})
	until(t, "both are live", func() bool { return s.topics.Stats().Live == 2 })
	most := 0
	see := func() { most = max(most, ws.Buffered()) }
	all := []string{}
	publish := func() {
		all = append(all, big(len(all)))
		put(t, conn, "room", all[len(all)-1])
		s.wants(fast, nil, all[len(all)-1])
		see()
	}
	for s.server.Stats().Dropped == 0 {
		publish()
	}
	for range 100 { // far beyond the ring
		publish()
	}
	for got, end := 0, len(all)+30; got < len(all); {
		f := s.must(slow)
		if f.First || f.Reset {
			t.Fatalf("after %d: %+v", got, f)
		}
		for _, m := range f.Messages {
			if m.Data != all[got] {
				t.Fatalf("message %d is %.20s", got, m.Data)
			}
			got++
		}
		if see(); len(all) < end { // the load goes on
			publish()
		}
	}
	until(t, "it is live again", func() bool { return s.topics.Stats().Live == 2 })
	publish()
	s.wants(slow, nil, all[len(all)-1])
	if st := s.topics.Stats(); st.Slow == 0 || st.Resets > 0 || st.Lagging > 0 {
		t.Errorf("%+v", st)
	}
	if limit := narrow.limits.HighWater + 3*(16<<10); most > limit {
		t.Errorf("%d bytes waited for it, want at most %d", most, limit)
	}
	if len(s.ended) > 0 {
		t.Errorf("ended: %v", <-s.ended)
	}
}

// Who does not become live in time is closed with 1013, and the application hears why.
func TestLaggingReaderIsClosed(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	s := openSite(t, store.Connect(), narrow)
	start := put(t, conn, "room", "start")
	for i := range 100 {
		put(t, conn, "room", big(i))
	}
	p := s.dial()
	began := time.Now()
	s.join(p, "room", start)
	ws := <-s.opened
	until(t, "it takes no more", func() bool { return ws.Buffered() > narrow.limits.HighWater })
	s.topics.SweepIn(59*time.Second - time.Since(began)) // within a minute of its join, however long that took
	if len(s.ended) > 0 {
		t.Errorf("ended in time: %v", <-s.ended)
	}
	s.topics.SweepIn(2 * time.Minute)
	if err := <-s.ended; !errors.Is(err, live.ErrLagging) {
		t.Errorf("ended: %v", err)
	}
	until(t, "it is closing", func() bool { return errors.Is(ws.Ping(nil), engine.ErrClosed) })
	for {
		if _, err := p.read(); errors.Is(err, errClosing) {
			if !strings.Contains(err.Error(), `\x03\xf5`) {
				t.Errorf("closed by %v, want 1013", err)
			}
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !errors.Is(ws.Err(), live.ErrLagging) || ws.Cause() != engine.CauseSlow {
		t.Errorf("the connection ended with %q and %v", ws.Cause(), ws.Err())
	}
	until(t, "nothing is left", func() bool { st := s.topics.Stats(); return st.Topics+st.Live+st.CatchingUp == 0 })
}

// A broker that is down (C03) costs a client nothing but time: neither its connection,
// nor its place, however long it takes.
func TestBrokerIsDown(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	at := put(t, conn, "room", "m1")
	put(t, conn, "room", numbers(2, 50)...)
	s := openSite(t, store.Connect(), options{
		cluster: cluster.Config{Ring: cluster.Budget{Messages: 4}, Timeout: time.Second},
	})
	up := s.dial()
	s.join(up, "room", cluster.Position{})
	until(t, "it is live", func() bool { return s.topics.Stats().Live == 1 })
	store.Stop()
	away, fresh := s.dial(), s.dial()
	for p, c := range map[*peer]command{away: {Topic: "room", From: at}, fresh: {Topic: "another"}} {
		if err := p.ask(c); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "they are known", func() bool { return s.topics.Stats().CatchingUp == 2 })
	until(t, "the broker does not answer", func() bool { return s.topics.Unanswered("room") })
	s.topics.SweepIn(time.Hour)
	if st := s.topics.Stats(); st.CatchingUp != 2 || st.Lagging > 0 || len(s.ended) > 0 {
		t.Errorf("%+v", st)
	}
	store.Start()
	f := s.must(away)
	s.wants(away, f.Messages, numbers(2, 50)...)
	if f := s.must(fresh); !f.First || f.Reset {
		t.Errorf("%+v", f)
	}
	put(t, conn, "room", "m51")
	s.wants(up, nil, "m51")
	s.wants(away, nil, "m51")
}

// A store that was wiped (C04) or is older (C12) resets everybody, live or not, and
// what comes then arrives.
func TestStoreIsReplaced(t *testing.T) {
	for name, replace := range map[string]func(*clustertest.Store, clustertest.Snapshot){
		"wiped":    func(s *clustertest.Store, _ clustertest.Snapshot) { s.Wipe() },
		"restored": func(s *clustertest.Store, old clustertest.Snapshot) { s.Restore(old) },
	} {
		t.Run(name, func(t *testing.T) {
			store := clustertest.NewStore(clustertest.Options{})
			conn := store.Connect()
			s := openSite(t, store.Connect(), options{})
			put(t, conn, "room", "m1")
			old := store.Snapshot()
			p := s.dial()
			s.join(p, "room", cluster.Position{})
			until(t, "it is live", func() bool { return s.topics.Stats().Live == 1 })
			at := put(t, conn, "room", "m2")
			s.wants(p, nil, "m2")
			store.Stop()
			replace(store, old)
			store.Start()
			f := s.must(p)
			if !f.Reset || len(f.Messages) > 0 || f.First {
				t.Fatalf("%+v", f)
			}
			again := s.dial()
			if f := s.join(again, "room", at); !f.Reset {
				t.Errorf("%+v", f)
			}
			put(t, conn, "room", "n1", "n2")
			s.wants(p, nil, "n1", "n2")
			s.wants(again, nil, "n1", "n2")
		})
	}
}

// Whatever subscribes, leaves and ends, nothing is left over (C09): no topic of the
// engine, no subscription of the node.
func TestNothingIsLeftOver(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	broker := store.Connect()
	s := openSite(t, broker, options{cluster: cluster.Config{Linger: time.Millisecond}})
	for i := range 60 {
		p := s.dial()
		for _, topic := range []string{"a", "b", "c"} {
			if err := p.ask(command{Topic: topic}); err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				if err := p.ask(command{Topic: topic, Leave: true}); err != nil {
					t.Fatal(err)
				}
			}
			if i%5 == 0 {
				put(t, broker, topic, topic+numbers(i, i)[0])
			}
		}
		if i%2 == 0 {
			(<-s.opened).CloseNow()
		} else {
			<-s.opened
			p.close()
		}
	}
	until(t, "nothing is left", func() bool {
		st := s.topics.Stats()
		return st.Topics+st.Live+st.CatchingUp+broker.Followed()+s.server.Topic("live:a").Subscribers() == 0
	})
}

// Subscribing twice is an error, and what follows Unsubscribe is an answer of its own.
func TestSubscribeAgain(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	s := openSite(t, store.Connect(), options{})
	p := s.dial()
	at := s.join(p, "room", cluster.Position{}).At
	ws := <-s.opened
	if err := s.topics.Subscribe(ws, "room", at); !errors.Is(err, live.ErrSubscribed) {
		t.Errorf("again: %v", err)
	}
	if err := s.topics.Subscribe(ws, "", at); !errors.Is(err, cluster.ErrTopic) {
		t.Errorf("no name: %v", err)
	}
	put(t, s.conn, "room", "m1")
	s.wants(p, nil, "m1")
	s.topics.Unsubscribe(ws, "room")
	s.topics.Unsubscribe(ws, "room")
	put(t, s.conn, "room", "m2")
	f := s.join(p, "room", at)
	s.wants(p, f.Messages, "m1", "m2")
	s.topics.Close()
	if err := s.topics.Subscribe(ws, "other", at); !errors.Is(err, live.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// The end of the node ends the subscriptions, live or not, and says so. The
// connections stay.
func TestNodeEnds(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	s := openSite(t, store.Connect(), options{})
	p, waiting := s.dial(), s.dial()
	s.join(p, "room", cluster.Position{})
	until(t, "it is live", func() bool { return s.topics.Stats().Live == 1 })
	store.Stop()
	if err := waiting.ask(command{Topic: "other"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the other waits", func() bool { return s.topics.Stats().CatchingUp == 1 })
	s.node.Close()
	for range 2 {
		if err := <-s.ended; !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("ended: %v", err)
		}
	}
	if n := s.server.Conns(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// OnUnsubscribe may come late, for what was missed before Unsubscribe and another
// Subscribe. It does not touch the new subscription.
func TestLateEndOfAnEarlierSubscription(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	s := openSite(t, store.Connect(), options{})
	p := s.dial()
	s.join(p, "room", cluster.Position{})
	ws := <-s.opened
	until(t, "it is live", func() bool { return s.topics.Stats().Live == 1 })
	s.topics.Lose(ws, "room", 0, false)
	s.topics.Lose(ws, "room", 0, true)
	if st := s.topics.Stats(); st.Live != 1 || st.Slow != 0 {
		t.Errorf("%+v, want it to stay live", st)
	}
	put(t, s.conn, "room", "m1")
	s.wants(p, nil, "m1")
}

// A permission that ends before a subscriber is live ends the subscription, and the
// application hears why.
func TestMaySubscribeIsAskedBeforeLive(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	refused := errors.New("not here")
	s := openSite(t, store.Connect(), options{maySubscribe: func(_ *engine.WebSocket, topic string) error {
		if topic != "live:room" {
			t.Errorf("asked about %q", topic)
		}
		return refused
	}})
	p := s.dial()
	s.join(p, "room", cluster.Position{})
	if err := <-s.ended; !errors.Is(err, refused) {
		t.Errorf("ended: %v", err)
	}
	until(t, "nothing is left", func() bool { st := s.topics.Stats(); return st.Topics+st.Live+st.CatchingUp == 0 })
}

// A node that is cut off from the broker (C05) keeps its clients. What is published
// meanwhile reaches them when it is back, with nothing published after it.
func TestNodeIsCutOff(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	conn := store.Connect()
	at := put(t, conn, "room", "m0")
	s := openSite(t, store.Connect(), options{cluster: cluster.Config{CheckEvery: time.Hour}})
	p, late := s.dial(), s.dial()
	s.join(p, "room", cluster.Position{})
	until(t, "it is live", func() bool { return s.topics.Stats().Live == 1 })
	s.conn.Cut()
	put(t, conn, "room", numbers(1, 9)...)
	if err := late.ask(command{Topic: "room", From: at}); err != nil {
		t.Fatal(err)
	}
	if f := s.must(late); !f.First || f.Reset || len(f.Messages) > 0 { // as far as the node knows
		t.Errorf("%+v", f)
	}
	s.conn.Heal()
	s.wants(p, nil, numbers(1, 9)...)
	s.wants(late, nil, numbers(1, 9)...)
	if st := s.topics.Stats(); st.Resets > 0 {
		t.Errorf("%+v", st)
	}
}

// A Relay carries plain topics between the servers, and leaves those of the history
// alone: their messages come once, and a gap of the bus is none of theirs.
func TestRelayLeavesHistoryAlone(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	var relays []*relay.Relay
	prepare := func(s *site) {
		r, err := relay.Join(s.server, s.conn, relay.Config{Local: s.topics.Owns})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		relays = append(relays, r)
	}
	sites := []*site{openSite(t, store.Connect(), options{prepare: prepare}), openSite(t, store.Connect(), options{prepare: prepare})}
	var peers []*peer
	for _, s := range sites {
		p := s.dial()
		s.join(p, "room", cluster.Position{})
		if err := (<-s.opened).Subscribe("plain"); err != nil {
			t.Fatal(err)
		}
		until(t, "it is live", func() bool { return s.topics.Stats().Live == 1 })
		peers = append(peers, p)
	}
	until(t, "both listen", func() bool { return relays[0].Stats().Topics+relays[1].Stats().Topics == 2 })
	put(t, sites[0].conn, "room", numbers(1, 5)...)
	for i, s := range sites {
		s.wants(peers[i], nil, numbers(1, 5)...)
	}
	if _, err := sites[0].server.Publish("plain", encode(frame{Topic: "plain"})); err != nil {
		t.Fatal(err)
	}
	for i, s := range sites {
		if f := s.must(peers[i]); f.Topic != "plain" {
			t.Errorf("%+v", f)
		}
		s.conn.Cut()
		s.conn.Heal()
	}
	put(t, sites[0].conn, "room", "m6")
	for i, s := range sites {
		s.wants(peers[i], nil, "m6")
		if st := s.topics.Stats(); st.Resets+st.Slow > 0 {
			t.Errorf("%+v", st)
		}
	}
}

// Where nobody knows what a live subscriber has missed, it gets a reset and goes on.
func TestUnknownPlaceIsReset(t *testing.T) {
	store := clustertest.NewStore(clustertest.Options{})
	s := openSite(t, store.Connect(), options{})
	p := s.dial()
	s.join(p, "room", cluster.Position{})
	until(t, "it is live", func() bool { return s.topics.Stats().Live == 1 })
	end := put(t, s.conn, "room", "m1")
	s.wants(p, nil, "m1")
	s.server.Gap("live:room")
	if f := s.must(p); !f.Reset || f.First || f.At != end {
		t.Errorf("%+v", f)
	}
	put(t, s.conn, "room", "m2")
	s.wants(p, nil, "m2")
}
