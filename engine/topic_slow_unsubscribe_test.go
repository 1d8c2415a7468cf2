package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// unsubscribed is what OnUnsubscribe got.
type unsubscribed struct {
	topic string
	tag   any
}

// tagged publishes words to "room" with words as the tag.
func (r *room) tagged(words, text string) (engine.Delivery, error) {
	return r.srv.Publish("room", engine.Message{Op: engine.Text, Data: []byte(text), Tag: words})
}

// The subscription ends in front of the message that has no room. What is smaller
// and would fit does not come either. What was queued before is sent, then
// OnUnsubscribe is called, and then a new subscription is like any other.
func TestSlowUnsubscribeEndsInFrontOfTheFirstLoss(t *testing.T) {
	eachScope(t, engine.SlowUnsubscribe, func(t *testing.T, s *slowCase) {
		ended := make(chan unsubscribed, 10)
		if err := s.ws.Do(func() {
			s.ws.OnUnsubscribe(func(_ *engine.WebSocket, topic string, tag any) { ended <- unsubscribed{topic, tag} })
		}); err != nil {
			t.Fatal(err)
		}
		offer := func(words string, want engine.Delivery) {
			t.Helper()
			if d, err := s.tagged(words, s.text(words)); err != nil || d != want {
				t.Fatalf("publishing %q: %+v, %v; want %+v", words, d, err, want)
			}
			flushed(t, s.ws)
		}
		for _, words := range numbers("m", 1, 10) {
			offer(words, queued(1))
		}
		for _, words := range numbers("lost", 1, 3) {
			offer(words, engine.Delivery{Dropped: 1})
		}
		if d, err := s.tagged("small", ""); err != nil || d != (engine.Delivery{Dropped: 1}) {
			t.Errorf("a message that would fit: %+v, %v", d, err)
		}
		s.wantTexts(numbers("m", 1, 10)...)
		if got := within(t, "OnUnsubscribe", ended); got != (unsubscribed{"room", "lost1"}) {
			t.Errorf("OnUnsubscribe: %v", got)
		}
		flushed(t, s.ws)
		offer("nobody", queued(0))
		topics, _, subs, slow := engine.HubLeft(s.srv)
		if len(s.ws.Topics())+subs+slow > 0 || topics > 1 {
			t.Errorf("left: %d topics, %d subscriptions, %d slow ones, %v", topics, subs, slow, s.ws.Topics())
		}
		if err := s.ws.Subscribe("room"); err != nil {
			t.Fatal(err)
		}
		s.wantNormal()
		if len(ended) > 0 {
			t.Errorf("OnUnsubscribe again: %v", <-ended)
		}
		if st := s.srv.Stats(); st.Dropped != 4 {
			t.Errorf("%d dropped, want 4", st.Dropped)
		}
	})
}

// Resubscribe begins a new subscription where the old one has ended and OnUnsubscribe was
// not called yet: what is retained comes behind it.
func TestResubscribeBehindTheEndOfASubscription(t *testing.T) {
	eachScope(t, engine.SlowUnsubscribe, func(t *testing.T, s *slowCase) {
		if err := s.ws.Do(func() {
			s.ws.OnUnsubscribe(func(ws *engine.WebSocket, _ string, tag any) { _ = ws.SendText(s.text(fmt.Sprint("ended at ", tag))) })
		}); err != nil {
			t.Fatal(err)
		}
		offer := func(words string, want engine.Delivery) {
			t.Helper()
			m := engine.Message{Op: engine.Text, Data: []byte(s.text(words)), Tag: words, Retain: true}
			if d, err := s.srv.Publish("room", m); err != nil || d != want {
				t.Fatalf("publishing %q: %+v, %v; want %+v", words, d, err, want)
			}
			flushed(t, s.ws)
		}
		for _, words := range numbers("m", 1, 10) {
			offer(words, queued(1))
		}
		for _, words := range numbers("lost", 1, 3) {
			offer(words, engine.Delivery{Dropped: 1})
		}
		if err := s.ws.Resubscribe("room"); err != nil {
			t.Fatal(err)
		}
		s.wantTexts(append(numbers("m", 1, 10), "ended at lost1", "lost3")...)
		offer("next", queued(1))
		s.wantTexts("next")
		if got := s.ws.Topics(); !slices.Contains(got, "room") {
			t.Errorf("it subscribes to %v", got)
		}
	})
}

// A publish that is refused, because the loop is too far behind, ends the
// subscriptions in front of it. Each has the tag of the first message that it does
// not get: of what was refused after it began.
func TestRefusedPublishEndsSubscriptions(t *testing.T) {
	srv := &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowUnsubscribe, Limit: 3400}}
	ended := make(map[string]chan unsubscribed)
	srv.Callbacks.OnUnsubscribe = func(ws *engine.WebSocket, topic string, tag any) {
		ended[engine.Get[string](ws)] <- unsubscribed{topic, tag}
	}
	r := openRoom(t, srv)
	clients, sockets := map[string]*rawClient{}, map[string]*engine.WebSocket{}
	names := []string{"early", "middle", "late", "another topic"}
	for _, name := range names {
		ended[name] = make(chan unsubscribed, 10)
		clients[name], sockets[name] = r.join()
		engine.Set(sockets[name], name)
		if name != "early" {
			if err := sockets[name].Unsubscribe("room"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := sockets["another topic"].Subscribe("other"); err != nil {
		t.Fatal(err)
	}
	text := string(pattern(1000))
	refused := func(tag string, n int) {
		t.Helper()
		d, err := r.tagged(tag, text)
		wantRefused(t, n, d, err)
	}
	release := hold(t, sockets["early"])
	for i := range 3 {
		if d, err := r.tagged(fmt.Sprint("m", i), text); err != nil || d != queued(1) {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	refused("r1", 1)
	refused("r2", 1)
	if err := sockets["middle"].Subscribe("room"); err != nil {
		t.Fatal(err)
	}
	refused("r3", 2)
	if err := sockets["late"].Subscribe("room"); err != nil {
		t.Fatal(err)
	}
	refused("r4", 3)
	release()
	for range 3 {
		clients["early"].wantMessage(engine.Text, text)
	}
	for name, tag := range map[string]string{"early": "r1", "middle": "r3", "late": "r4"} {
		if got := within(t, "OnUnsubscribe of "+name, ended[name]); got != (unsubscribed{"room", tag}) {
			t.Errorf("%s: %v, want it to end at %s", name, got, tag)
		}
	}
	flushed(t, sockets["early"])
	r.publish("nobody", queued(0))
	for _, name := range names[:3] {
		if err := sockets[name].Subscribe("room"); err != nil {
			t.Fatal(err)
		}
	}
	r.publish("again", queued(3))
	for _, name := range names[:3] {
		clients[name].wantMessage(engine.Text, "again")
	}
	for _, name := range names {
		if len(ended[name]) > 0 {
			t.Errorf("OnUnsubscribe of %s again: %v", name, <-ended[name])
		}
	}
}

// What a connection gets until OnUnsubscribe is every message in front of the tag,
// without a hole, whoever reads how slowly and however far the loop is behind.
func TestSlowUnsubscribeLeavesNoHole(t *testing.T) {
	seed := seeds.First(t)
	const clients, messages = 12, 4000
	srv := &engine.Server{Loops: 2, Slow: engine.Slow{Policy: engine.SlowUnsubscribe, Limit: 8 << 10},
		Limits: engine.Limits{WriteTimeout: -1, PingInterval: -1}}
	var published atomic.Int64
	var mu sync.Mutex
	spans := make(map[*engine.WebSocket][][2]int) // from, to: what each is to get
	var ends atomic.Int32
	srv.Callbacks.OnUnsubscribe = func(ws *engine.WebSocket, topic string, tag any) {
		ends.Add(1)
		mu.Lock()
		defer mu.Unlock() // the publisher too: nothing is published until the new span is noted
		last := len(spans[ws]) - 1
		spans[ws][last][1] = tag.(int)
		spans[ws] = append(spans[ws], [2]int{int(published.Load()), messages})
		if err := ws.Subscribe(topic); err != nil {
			t.Error(err)
		}
	}
	joined := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		mu.Lock()
		defer mu.Unlock()
		spans[ws] = [][2]int{{0, messages}}
		if err := ws.Subscribe("room"); err != nil {
			t.Error(err)
		}
		joined <- ws
	}
	addr := listen(t, srv)
	var readers sync.WaitGroup
	got := make([][]int, clients)
	sockets := make([]*engine.WebSocket, clients)
	for i := range clients {
		c := openNarrow(t, addr)
		sockets[i] = within(t, "OnUpgrade", joined)
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		readers.Go(func() {
			for {
				h, payload, err := c.readFrame()
				if err != nil || h.OpCode == engine.Binary {
					return
				}
				n, err := strconv.Atoi(string(payload[:5]))
				if err != nil {
					t.Errorf("%v", err)
					return
				}
				got[i] = append(got[i], n)
				if random.IntN(50) == 0 { // slowly: until the publisher is ahead
					for before := published.Load(); published.Load() < min(before+int64(random.IntN(200)), messages); {
						time.Sleep(100 * time.Microsecond)
					}
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 99))
	for n := range messages {
		text := fmt.Appendf(nil, "%05d%s", n, pattern(random.IntN(2000)))
		if random.IntN(200) == 0 { // the loops fall behind, or catch up
			flushed(t, sockets[random.IntN(clients)])
		}
		mu.Lock()
		if _, err := srv.Publish("room", engine.Message{Op: engine.Text, Data: text, Tag: n}); err != nil && err != engine.ErrBackpressure {
			t.Error(err)
		}
		published.Store(int64(n + 1))
		mu.Unlock()
	}
	for _, ws := range sockets {
		eventually(t, "everything is sent", func() bool { return ws.Buffered() == 0 })
		flushed(t, ws) // its OnUnsubscribe has been called
		flushed(t, ws)
		if err := ws.SendBinary([]byte("end")); err != nil {
			t.Error(err)
		}
	}
	readers.Wait()
	if ends.Load() == 0 {
		t.Error("nobody was slow")
	}
	for i, ws := range sockets {
		var want []int
		for _, span := range spans[ws] {
			for n := span[0]; n < span[1]; n++ {
				want = append(want, n)
			}
		}
		if !slices.Equal(got[i], want) {
			t.Errorf("client %d got %d messages, want %d; spans %v", i, len(got[i]), len(want), spans[ws])
		}
	}
}
