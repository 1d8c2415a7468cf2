package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// tellingGaps are callbacks that send the peer what OnGap is told.
var tellingGaps = engine.Callbacks{OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
	_ = ws.SendText(fmt.Sprintf("gap of %d in %s", dropped, topic))
}}

// hold keeps the loop of ws from flushing until release is called.
func hold(t *testing.T, ws *engine.WebSocket) (release func()) {
	t.Helper()
	held, leave := make(chan struct{}), make(chan struct{})
	if err := ws.Do(func() { close(held); <-leave }); err != nil {
		t.Fatal(err)
	}
	within(t, "the hold of the loop", held)
	return func() { close(leave) }
}

// wantRefused wants a publish to be refused for n subscribers.
func wantRefused(t *testing.T, n int, d engine.Delivery, err error) {
	t.Helper()
	if !errors.Is(err, engine.ErrBackpressure) || d != (engine.Delivery{Dropped: n}) {
		t.Fatalf("%+v, %v; want it refused for %d", d, err, n)
	}
}

// The sender of a publish is no receiver, nor is who subscribes later.
func TestGapCountsWhatWasMeantForTheSubscriberOnly(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1, Slow: engine.Slow{Limit: 3400}, Callbacks: tellingGaps})
	names := []string{"sender", "other", "later", "last"}
	clients, sockets := map[string]*rawClient{}, map[string]*engine.WebSocket{}
	for _, name := range names {
		clients[name], sockets[name] = r.join()
	}
	subscribe := func(name string) {
		t.Helper()
		if err := sockets[name].Subscribe("room"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names[2:] {
		if err := sockets[name].Unsubscribe("room"); err != nil {
			t.Fatal(err)
		}
	}
	text := string(pattern(1000))
	refused := func(n int) {
		t.Helper()
		d, err := r.srv.Publish("room", engine.TextMessage(text))
		wantRefused(t, n, d, err)
	}
	for round := range 2 {
		release := hold(t, sockets["other"])
		for range 3 {
			r.publish(text, queued(2))
		}
		for range 2 {
			d, err := sockets["sender"].Publish("room", engine.TextMessage(text))
			wantRefused(t, 1, d, err)
		}
		refused(2)
		subscribe("later")
		refused(3)
		subscribe("last")
		release()
		for name, gap := range map[string]string{"sender": "gap of 2 in room", "other": "gap of 4 in room", "later": "gap of 1 in room", "last": ""} {
			if name == "sender" || name == "other" {
				for range 3 {
					clients[name].wantMessage(engine.Text, text)
				}
			}
			if gap != "" {
				clients[name].wantMessage(engine.Text, gap)
			}
		}
		flushed(t, sockets["other"])
		again := fmt.Sprint("again ", round)
		r.publish(again, queued(4))
		for _, name := range names {
			clients[name].wantMessage(engine.Text, again)
		}
		for _, name := range names[2:] {
			if err := sockets[name].Unsubscribe("room"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWhoUnsubscribesIsToldItsGap(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		eachScope(t, engine.SlowDropNewest, func(t *testing.T, s *slowCase) {
			for i := 1; i <= 10; i++ {
				s.offer(fmt.Sprint("message ", i), queued(1))
			}
			for range 3 {
				s.offer("lost", engine.Delivery{Dropped: 1})
			}
			if err := s.ws.Unsubscribe("room"); err != nil {
				t.Fatal(err)
			}
			if err := s.ws.Subscribe("room"); err != nil {
				t.Fatal(err)
			}
			s.wantTexts(append(numbers("message ", 1, 10), "gap of 3 in room")...)
			s.wantNormal()
		})
	})
	t.Run("refused", func(t *testing.T) {
		r := openRoom(t, &engine.Server{Loops: 1, Slow: engine.Slow{Limit: 100}, Callbacks: tellingGaps})
		c, ws := r.join()
		release := hold(t, ws)
		r.publish("first", queued(1))
		d, err := r.srv.Publish("room", engine.TextMessage(pattern(1000)))
		wantRefused(t, 1, d, err)
		for range 2 {
			if err := ws.Unsubscribe("room"); err != nil {
				t.Fatal(err)
			}
		}
		if err := ws.Subscribe("room"); err != nil {
			t.Fatal(err)
		}
		release()
		c.wantMessage(engine.Text, "first")
		c.wantMessage(engine.Text, "gap of 1 in room")
		flushed(t, ws)
		r.publish("again", queued(1))
		c.wantMessage(engine.Text, "again")
	})
}

// RFC 6455 section 5.4: a message may not break into another one's fragments.
func TestUnsubscribeWaitsForTheEndOfAFragmentedMessage(t *testing.T) {
	for name, when := range map[string]func(*room, *engine.WebSocket){
		"before a flush": func(*room, *engine.WebSocket) {},
		"after a flush":  func(r *room, ws *engine.WebSocket) { flushed(r.t, ws) },
	} {
		t.Run(name, func(t *testing.T) {
			r := openRoom(t, &engine.Server{Loops: 1})
			c, ws := r.join()
			fragment := func(text string, fin bool) {
				t.Helper()
				if err := ws.SendFragment(engine.Text, []byte(text), fin); err != nil {
					t.Fatal(err)
				}
			}
			fragment("a", false)
			r.publish("one", queued(1))
			r.publish("two", queued(1))
			when(r, ws)
			if err := ws.Unsubscribe("room"); err != nil {
				t.Fatal(err)
			}
			if err := ws.Subscribe("room"); err != nil {
				t.Fatal(err)
			}
			r.publish("three", queued(1))
			when(r, ws)
			if memory := r.srv.Memory(); memory.SharedFrames == 0 {
				t.Errorf("what waits is not counted: %+v", memory)
			}
			fragment("b", true)
			r.publish("four", queued(1))
			if err := ws.SendText("five"); err != nil {
				t.Fatal(err)
			}
			c.wantFrame(engine.Text, false, "a")
			c.wantFrame(engine.Continuation, true, "b")
			for _, want := range []string{"one", "two", "three", "four", "five"} {
				c.wantMessage(engine.Text, want)
			}
			flushed(t, ws)
			if n := ws.Buffered(); n != 0 {
				t.Errorf("%d bytes count as queued, want none", n)
			}
			if st := r.srv.Stats(); st.QueuedBytes != 0 {
				t.Errorf("%d bytes count as queued, want none", st.QueuedBytes)
			}
		})
	}
}

func TestWhatAnUnsubscribedOneWaitsForEndsWithIt(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	c, ws := r.join()
	if err := ws.SendFragment(engine.Text, []byte("a"), false); err != nil {
		t.Fatal(err)
	}
	r.publish("one", queued(1))
	if err := ws.Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	if st := r.srv.Stats(); st.QueuedBytes == 0 {
		t.Error("what waits does not count as queued")
	}
	ws.CloseNow()
	within(t, "the end", ws.Done())
	c.wantFrame(engine.Text, false, "a")
	c.wantGone()
	if st := r.srv.Stats(); st.QueuedBytes != 0 {
		t.Errorf("%d bytes count as queued after the end", st.QueuedBytes)
	}
}

func TestFragmentThatOnGapBeginsIsNotBrokenInto(t *testing.T) {
	s := &slowCase{}
	srv := &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropOldest, Limit: slowLimit}}
	srv.Callbacks.OnGap = func(ws *engine.WebSocket, _ string, dropped uint64) {
		if err := ws.SendFragment(engine.Text, fmt.Appendf(nil, "gap of %d", dropped), false); err != nil {
			t.Error(err)
		}
	}
	s.room = openRoom(t, srv)
	s.c, s.ws = s.joinNarrow()
	fillTo(t, s.ws, slowLimit-keptRoom)
	flushed(t, s.ws)
	for i := 1; i <= 10; i++ {
		s.offer(fmt.Sprint("message ", i), queued(1))
	}
	for i := 11; i <= 13; i++ {
		s.offer(fmt.Sprint("message ", i), engine.Delivery{Dropped: 1})
	}
	for {
		h, payload, err := s.c.readFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h.OpCode == engine.Text {
			if h.Fin {
				t.Fatalf("got %q first", payload)
			}
			break
		}
	}
	flushed(t, s.ws)
	if err := s.ws.SendFragment(engine.Text, []byte("."), true); err != nil {
		t.Fatal(err)
	}
	s.c.wantFrame(engine.Continuation, true, ".")
	s.wantTexts(numbers("message ", 4, 13)...)
}
