package engine_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// fillTo sends to a peer that does not read until exactly total bytes wait.
func fillTo(t *testing.T, ws *engine.WebSocket, total int) {
	t.Helper()
	const most = 32 << 10
	for {
		need, size := total-ws.Buffered(), most
		switch {
		case need == 0:
			return
		case need < 2:
			t.Fatalf("%d bytes wait, %d are wanted: cannot be filled", ws.Buffered(), total)
		case need < 128: // the kernel has taken a little more
			size = need - 2 // the header of up to 125 octets
		case need < 130:
			size = 64
		case need < 2*most && ws.Buffered() > 0:
			size = need - 4 // the header of 126 to 65535 octets
		}
		if err := ws.SendBinary(pattern(size)); err != nil {
			t.Fatal(err)
		}
	}
}

// slowCase is a subscriber that is slow, with room for ten messages of a
// hundred octets.
type slowCase struct {
	*room
	c      *rawClient
	ws     *engine.WebSocket
	errs   chan error
	closed chan engine.StatusCode
}

const (
	slowLimit = 1 << 20
	slowSize  = 100              // of each message
	slowFrame = slowSize + 2     // as a frame
	slowRoom  = slowFrame*10 + 1 // in the queue
)

// The places where a policy can be set.
var slowScopes = map[string]func(*engine.Server, engine.Slow) func(*slowCase){
	"server": func(srv *engine.Server, slow engine.Slow) func(*slowCase) {
		srv.Slow = slow
		return func(*slowCase) {}
	},
	"topic": func(srv *engine.Server, slow engine.Slow) func(*slowCase) {
		srv.Slow = engine.Slow{Policy: engine.SlowDropNewest, Limit: 1}
		return func(s *slowCase) { s.srv.Topic("room").SetSlow(slow) }
	},
	"connection": func(srv *engine.Server, slow engine.Slow) func(*slowCase) {
		srv.Slow = engine.Slow{Policy: engine.SlowDropNewest, Limit: 1}
		return func(s *slowCase) {
			s.srv.Topic("room").SetSlow(engine.Slow{Policy: engine.SlowDropNewest, Limit: 2})
			s.ws.SetSlow(slow)
		}
	},
}

// eachScope runs test with a subscriber under policy, set in each place.
func eachScope(t *testing.T, policy engine.SlowPolicy, test func(*testing.T, *slowCase)) {
	for name, scope := range slowScopes {
		t.Run(name, func(t *testing.T) {
			s := &slowCase{errs: make(chan error, 10), closed: make(chan engine.StatusCode, 1)}
			srv := &engine.Server{Loops: 1, Limits: engine.Limits{CloseTimeout: patience, WriteTimeout: -1, PingInterval: -1}}
			srv.Callbacks = engine.Callbacks{
				OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
					if err := ws.SendText(fmt.Sprintf("gap of %d in %s", dropped, topic)); err != nil {
						t.Error(err)
					}
				},
				OnError: func(_ *engine.WebSocket, err error) { s.errs <- err },
				OnClose: func(_ *engine.WebSocket, code engine.StatusCode, _ string) { s.closed <- code },
			}
			set := scope(srv, engine.Slow{Policy: policy, Limit: slowLimit})
			s.room = openRoom(t, srv)
			s.c, s.ws = s.joinNarrow()
			set(s)
			fillTo(t, s.ws, slowLimit-slowRoom)
			flushed(t, s.ws)
			if err := s.ws.Unsubscribe("room"); err != nil { // so that the first publish
				t.Fatal(err)
			}
			if err := s.ws.Subscribe("room"); err != nil { // finds it new, and slow
				t.Fatal(err)
			}
			test(t, s)
		})
	}
}

// text is a message that begins with words.
func (s *slowCase) text(words string) string {
	return words + strings.Repeat(".", slowSize-len(words))
}

// offer publishes a message and says what should become of it.
func (s *slowCase) offer(words string, want engine.Delivery) {
	s.t.Helper()
	s.publish(s.text(words), want)
	flushed(s.t, s.ws)
}

func (s *slowCase) offerKeyed(key, words string, want engine.Delivery) {
	s.t.Helper()
	d, err := s.srv.PublishKeyed("room", key, engine.Text, []byte(s.text(words)))
	if err != nil || d != want {
		s.t.Fatalf("publishing %q: %+v, %v; want %+v", words, d, err, want)
	}
	flushed(s.t, s.ws)
}

// texts reads until it has as many text messages, and returns the words they
// begin with.
func (s *slowCase) texts(n int) (words []string) {
	s.t.Helper()
	for len(words) < n {
		h, payload, err := s.c.readFrame()
		if err != nil {
			s.t.Fatalf("after %q: %v", words, err)
		}
		if h.OpCode == engine.Text {
			words = append(words, strings.TrimRight(string(payload), "."))
		}
	}
	return words
}

func (s *slowCase) wantTexts(want ...string) {
	s.t.Helper()
	if got := s.texts(len(want)); fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Fatalf("got  %q\nwant %q", got, want)
	}
}

// wantNormal wants the subscriber to get what is published like any other.
func (s *slowCase) wantNormal() {
	s.t.Helper()
	eventually(s.t, "everything is sent", func() bool { return s.ws.Buffered() == 0 })
	flushed(s.t, s.ws)
	for i := range 3 {
		s.offer(fmt.Sprint("normal ", i), queued(1))
		s.wantTexts(fmt.Sprint("normal ", i))
	}
	if _, _, _, slow := engine.HubLeft(s.srv); slow != 0 {
		s.t.Errorf("%d subscriptions are still slow", slow)
	}
}

func numbers(what string, from, to int) (words []string) {
	for i := from; i <= to; i++ {
		words = append(words, fmt.Sprint(what, i))
	}
	return words
}

// R01: at the limit in bytes.
func TestSlowCloseClosesWith1013AtItsLimit(t *testing.T) {
	eachScope(t, engine.SlowClose, func(t *testing.T, s *slowCase) {
		for _, words := range numbers("m", 1, 10) {
			s.offer(words, queued(1))
		}
		s.offer("m11", engine.Delivery{Closed: 1})
		s.publish("nobody", queued(0))
		if err := s.ws.SendText("late"); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Send after that: %v", err)
		}
		s.wantTexts(numbers("m", 1, 10)...)
		code, reason := s.c.readClose()
		if code != engine.StatusTryAgainLater || reason == "" {
			t.Errorf("closed with %d %q", code, reason)
		}
		s.c.send(masked(codec.Close, "\x03\xf5"))
		s.c.wantEOF()
		_ = s.c.Close()
		if err := within(t, "OnError", s.errs); !errors.Is(err, engine.ErrSlow) {
			t.Errorf("OnError: %v", err)
		}
		if code := within(t, "OnClose", s.closed); code != engine.StatusTryAgainLater {
			t.Errorf("OnClose: %d", code)
		}
		if err := s.ws.Err(); !errors.Is(err, engine.ErrSlow) {
			t.Errorf("Err: %v", err)
		}
		if st := s.srv.Stats(); st.ClosedSlow != 1 || st.Dropped != 0 || st.Conflated != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSlowDropNewestDropsWhatDoesNotFit(t *testing.T) {
	eachScope(t, engine.SlowDropNewest, func(t *testing.T, s *slowCase) {
		for _, words := range numbers("m", 1, 10) {
			s.offer(words, queued(1))
		}
		for _, words := range numbers("lost", 1, 5) {
			s.offer(words, engine.Delivery{Dropped: 1})
		}
		if err := s.ws.Ping([]byte("still")); err != nil { // never dropped
			t.Error(err)
		}
		s.wantTexts(numbers("m", 1, 10)...)
		s.c.wantFrame(codec.Ping, true, "still")
		s.wantTexts("gap of 5 in room")
		s.wantNormal()
		if st := s.srv.Stats(); st.Dropped != 5 || st.Conflated != 0 || st.ClosedSlow != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSlowDropOldestKeepsTheLatest(t *testing.T) {
	eachScope(t, engine.SlowDropOldest, func(t *testing.T, s *slowCase) {
		for _, words := range numbers("m", 1, 10) {
			s.offer(words, queued(1))
		}
		for _, words := range numbers("m", 11, 17) {
			s.offer(words, engine.Delivery{Conflated: 1})
		}
		s.wantTexts(append([]string{"gap of 7 in room"}, numbers("m", 8, 17)...)...)
		s.wantNormal()
		if st := s.srv.Stats(); st.Dropped != 0 || st.Conflated != 7 || st.ClosedSlow != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSlowConflateKeepsTheLatestOfEachKeyInOrder(t *testing.T) {
	eachScope(t, engine.SlowConflate, func(t *testing.T, s *slowCase) {
		s.offerKeyed("a", "a1", queued(1))
		s.offer("plain", queued(1))
		s.offerKeyed("b", "b1", queued(1))
		for i := range 100 { // more than the queue would hold
			s.offerKeyed("a", fmt.Sprint("a", i+2), engine.Delivery{Conflated: 1})
		}
		s.offerKeyed("b", "b2", engine.Delivery{Conflated: 1})
		for _, key := range numbers("k", 1, 7) {
			s.offerKeyed(key, key, queued(1))
		}
		s.offerKeyed("new", "new", engine.Delivery{Dropped: 1})
		s.offer("plain too", engine.Delivery{Dropped: 1})
		s.offerKeyed("k1", "k1 again", engine.Delivery{Conflated: 1})
		want := []string{"gap of 2 in room", "plain", "a101", "b2"}
		want = append(want, numbers("k", 2, 7)...)
		s.wantTexts(append(want, "k1 again")...)
		s.wantNormal()
		if st := s.srv.Stats(); st.Dropped != 2 || st.Conflated != 102 || st.ClosedSlow != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A direct send keeps its place behind what was published before, and what a
// subscriber was promised survives its Unsubscribe.
func TestWhatWaitsForASlowSubscriberKeepsItsPlace(t *testing.T) {
	eachScope(t, engine.SlowConflate, func(t *testing.T, s *slowCase) {
		s.offerKeyed("k", "k1", queued(1))
		if err := s.ws.SendText("direct"); err != nil {
			t.Fatal(err)
		}
		s.offerKeyed("k", "k2", queued(1)) // k1 is on its way
		s.offerKeyed("k", "k3", engine.Delivery{Conflated: 1})
		if err := s.ws.Unsubscribe("room"); err != nil {
			t.Fatal(err)
		}
		if err := s.ws.SendText("end"); err != nil {
			t.Fatal(err)
		}
		s.wantTexts("k1", "direct", "k3", "end")
		if _, _, subs, slow := engine.HubLeft(s.srv); subs+slow != 0 {
			t.Errorf("%d subscriptions are left, %d slow", subs, slow)
		}
		eventually(t, "nothing is held", func() bool { return s.ws.Buffered() == 0 && s.srv.Stats().QueuedBytes == 0 })
	})
}

// A subscriber whose queue lies below the low mark must not keep its loop busy,
// and OnDrain is for queues that were over the high one.
func TestSlowSubscriberBelowTheLowMarkCostsNothing(t *testing.T) {
	drains := 0 // of the one loop
	srv := &engine.Server{Loops: 1, Callbacks: engine.Callbacks{
		OnDrain: func(*engine.WebSocket) { drains++ },
		OnText:  func(*engine.WebSocket, []byte) {},
	}}
	r := openRoom(t, srv)
	c, ws := r.joinNarrow()
	fillTo(t, ws, 40_000)
	r.publish("one", queued(1))
	flushed(t, ws)
	c.sendFrame(engine.Text, true, []byte("an event"))
	eventually(t, "the event", func() bool { return srv.Stats().MessagesIn == 1 })
	for range 200 {
		flushed(t, ws)
	}
	for {
		h, payload, err := c.readFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h.OpCode == engine.Text && string(payload) == "one" {
			break
		}
	}
	flushed(t, ws)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if drains != 0 {
		t.Errorf("OnDrain came %d times", drains)
	}
}

func TestMessagesLargerThanTheLimitGoByPolicy(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropOldest, Limit: 100_000}})
	c, ws := r.joinNarrow()
	fillTo(t, ws, 50_000)
	r.publish("small", queued(1))
	flushed(t, ws)
	r.publish(string(pattern(200_000)), engine.Delivery{Dropped: 1})
	if err := ws.SendText("end"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"end", "small"} { // behind the gap, which nobody was told of yet
		for {
			h, payload, err := c.readFrame()
			if err != nil {
				t.Fatal(err)
			}
			if h.OpCode == engine.Binary {
				continue
			}
			if string(payload) != want {
				t.Fatalf("got %.20q, want %q", payload, want)
			}
			break
		}
	}
	fresh, _ := r.join()
	if err := ws.Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	big := string(pattern(200_000))
	r.publish(big, queued(1)) // one message to an empty queue is always taken
	fresh.wantMessage(engine.Text, big)
}

// What no loop has looked at yet is bounded too, and the gap is told in its
// place.
func TestPublisherFasterThanTheLoopIsRefusedAndTheGapIsTold(t *testing.T) {
	const size, limit = 1000, 10_100
	inside, leave := make(chan struct{}), make(chan struct{})
	srv := &engine.Server{Loops: 1, Slow: engine.Slow{Limit: limit}, Callbacks: engine.Callbacks{
		OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
			if err := ws.SendText(fmt.Sprintf("gap of %d in %s", dropped, topic)); err != nil {
				t.Error(err)
			}
		},
		OnText: func(*engine.WebSocket, []byte) {
			inside <- struct{}{}
			<-leave
		},
	}}
	r := openRoom(t, srv)
	c, _ := r.join()
	blocker := openRaw(t, r.addr)
	if err := within(t, "OnUpgrade", r.joined).Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	text := func(i int) string { return string(numbered(uint32(i), size)) }
	blocker.sendFrame(engine.Text, true, nil)
	within(t, "the callback", inside)
	for i := range 10 {
		r.publish(text(i), queued(1))
	}
	for range 3 {
		d, err := srv.Publish("room", engine.Text, pattern(size))
		if !errors.Is(err, engine.ErrBackpressure) || d != (engine.Delivery{Dropped: 1}) {
			t.Errorf("%+v, %v", d, err)
		}
	}
	leave <- struct{}{}
	for i := range 10 {
		c.wantMessage(engine.Text, text(i))
	}
	c.wantMessage(engine.Text, "gap of 3 in room")
	r.publish("again", queued(1))
	c.wantMessage(engine.Text, "again")
	if st := srv.Stats(); st.Dropped != 3 {
		t.Errorf("%+v", st)
	}
}

// R01, R03: at the limit in time. A peer that takes a few bytes now and then
// does not get on.
func TestTimeoutWithoutProgressMakesAQueueCountAsFull(t *testing.T) {
	srv := &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropNewest, Timeout: 50 * time.Millisecond}}
	r := openRoom(t, srv)
	c, ws := r.joinNarrow()
	fillTo(t, ws, 50_000)
	r.publish("one", queued(1))
	flushed(t, ws)
	r.publish("two", queued(1)) // time counts from here
	eventually(t, "a message is dropped", func() bool {
		one := make([]byte, 1)
		if _, err := c.br.Read(one); err != nil {
			t.Fatal(err)
		}
		d, err := srv.Publish("room", engine.Text, []byte("more"))
		if err != nil || d.Queued+d.Dropped != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
		return d.Dropped == 1
	})
}

// R03
func TestWriteTimeoutEndsAReaderOfAByteNowAndThen(t *testing.T) {
	ended := make(chan error, 1)
	srv := &engine.Server{
		Limits:    engine.Limits{WriteTimeout: 200 * time.Millisecond},
		Callbacks: engine.Callbacks{OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) { ended <- ws.Err() }},
	}
	r := openRoom(t, srv)
	c, ws := r.joinNarrow()
	for ws.Buffered() < 100_000 && ws.SendBinary(pattern(32<<10)) == nil { // or ended already
	}
	one := make([]byte, 1)
	for {
		select {
		case err := <-ended:
			if !errors.Is(err, engine.ErrWriteTimeout) {
				t.Fatal("ended with", err)
			}
			return
		case <-time.After(10 * time.Millisecond):
			_, _ = c.Conn.Read(one) // the end is told by the channel
		}
	}
}

// A large send buffer hides for long that a slow link gets on.
func TestWriteTimeoutSparesAReaderThatGetsOn(t *testing.T) {
	const timeout = 300 * time.Millisecond
	eventually(t, "a machine that runs the test in time", func() bool {
		r := openRoom(t, &engine.Server{Limits: engine.Limits{WriteTimeout: timeout}})
		c, ws := r.join() // with buffers as large as they come
		if err := ws.SendBinary(pattern(12 << 20)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64<<10)
		start, longest := time.Now(), time.Duration(0)
		for last := start; last.Sub(start) < 8*timeout; {
			_, err := c.br.Read(buf)
			pause := time.Since(last)
			last, longest = last.Add(pause), max(longest, pause)
			switch {
			case err != nil && longest < timeout/2:
				t.Fatalf("dropped after %v without a read for %v at most: %v", last.Sub(start), longest, ws.Err())
			case err != nil:
				return false
			}
			time.Sleep(timeout / 10) // the pace of the link
		}
		if err := ws.Err(); err != nil && longest < timeout/2 {
			t.Error(err)
		}
		return longest < timeout/2
	})
}

// Every publish falls to every subscriber in exactly one way, whoever is slow.
func TestCountsOfAPublishAddUpWhoeverIsSlow(t *testing.T) {
	policies := []engine.Slow{
		{Policy: engine.SlowClose, Limit: 200_000},
		{Policy: engine.SlowDropNewest, Limit: 100_000},
		{Policy: engine.SlowDropOldest, Limit: 100_000},
		{Policy: engine.SlowConflate, Limit: 100_000},
	}
	srv := &engine.Server{Loops: 2, Limits: engine.Limits{CloseTimeout: patience, WriteTimeout: -1, PingInterval: -1}}
	joined := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *handshake.Request) {
		_ = ws.Subscribe("room")
		joined <- ws
	}
	addr := listen(t, srv)
	const of = 5 // under each policy
	var sockets []*engine.WebSocket
	for i := range of * len(policies) {
		openNarrow(t, addr)
		ws := within(t, "OnUpgrade", joined)
		ws.SetSlow(policies[i%len(policies)])
		sockets = append(sockets, ws)
	}
	want := of * len(policies)
	var sum engine.Delivery
	for i := range 3000 {
		topic, body := srv.Topic("room"), pattern(5000)
		binary.BigEndian.PutUint32(body, uint32(i))
		if n := topic.Subscribers(); n != want {
			t.Fatalf("publish %d: %d subscribers, want %d", i, n, want)
		}
		d, err := srv.PublishKeyed("room", fmt.Sprint(i%3), engine.Binary, body)
		if err != nil || d.Subscribers() != want {
			t.Fatalf("publish %d: %+v, %v; want %d together", i, d, err, want)
		}
		want -= d.Closed
		sum.Queued += d.Queued
		sum.Dropped += d.Dropped
		sum.Conflated += d.Conflated
		sum.Closed += d.Closed
		if i%10 == 0 { // let the loops see it
			for _, ws := range sockets {
				if ws.Err() == nil {
					flushed(t, ws)
				}
			}
		}
	}
	if sum.Closed != of || sum.Dropped == 0 || sum.Conflated == 0 {
		t.Errorf("%+v: not every policy had its turn", sum)
	}
	st := srv.Stats()
	if st.Dropped < uint64(sum.Dropped) || st.Conflated != uint64(sum.Conflated) || st.ClosedSlow != uint64(sum.Closed) {
		t.Errorf("statistics %+v, counts %+v", st, sum)
	}
}

// What is refused for everyone, because the loop is behind, is a gap for
// everyone: for a subscriber of several topics in each, and also if its socket
// blocks with what is flushed before the gap.
func TestGapOfRefusedPublishesIsTold(t *testing.T) {
	type gap struct {
		topic   string
		dropped uint64
	}
	for name, tt := range map[string]struct{ limit, size, number int }{
		"the socket takes all": {3000, 1000, 6},
		"the socket blocks":    {8 << 20, 1 << 20, 12},
		"small frames":         {8 << 20, 1 << 10, 9000},
	} {
		t.Run(name, func(t *testing.T) {
			gaps, joined := make(chan gap, 10), make(chan *engine.WebSocket, 1)
			srv := &engine.Server{
				Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropNewest, Limit: tt.limit},
				Limits:    engine.Limits{WriteTimeout: patience},
				Callbacks: engine.Callbacks{OnGap: func(_ *engine.WebSocket, topic string, n uint64) { gaps <- gap{topic, n} }},
				OnUpgrade: func(ws *engine.WebSocket, _ *handshake.Request) {
					_, _ = ws.Subscribe("a"), ws.Subscribe("b")
					joined <- ws
				},
			}
			c := openRaw(t, listen(t, srv))
			ws := within(t, "OnUpgrade", joined)
			held, release := make(chan struct{}), make(chan struct{})
			_ = ws.Do(func() { close(held); <-release })
			within(t, "the hold of the loop", held)
			queued, want := 0, map[string]uint64{}
			for _, topic := range []string{"a", "b"} {
				for range tt.number {
					d, err := srv.Publish(topic, engine.Binary, make([]byte, tt.size))
					if (err != nil) != (d.Dropped == 1) || d.Subscribers() != 1 {
						t.Fatal(d, err)
					}
					queued += d.Queued
					want[topic] += uint64(d.Dropped)
				}
			}
			close(release)
			for range queued {
				if _, _, err := c.readFrame(); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]uint64{}
			for range 2 {
				g := within(t, "OnGap", gaps)
				got[g.topic] += g.dropped
			}
			if got["a"] != want["a"] || got["b"] != want["b"] || want["a"] == 0 {
				t.Errorf("OnGap told of %v, want %v", got, want)
			}
		})
	}
}
