package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// room is a server whose connections subscribe to "room" when they open.
type room struct {
	t      *testing.T
	srv    *engine.Server
	addr   string
	joined chan *engine.WebSocket
}

// openRoom starts srv, whose OnUpgrade it sets.
func openRoom(t *testing.T, srv *engine.Server) *room {
	t.Helper()
	r := &room{t: t, srv: srv, joined: make(chan *engine.WebSocket, 1)}
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		if err := ws.Subscribe("room"); err != nil {
			t.Error(err)
		}
		r.joined <- ws
	}
	r.addr = listen(t, srv)
	return r
}

func (r *room) join(lines ...string) (*rawClient, *engine.WebSocket) {
	r.t.Helper()
	c := openRaw(r.t, r.addr, lines...)
	return c, within(r.t, "OnUpgrade", r.joined)
}

func (r *room) joinNarrow(lines ...string) (*rawClient, *engine.WebSocket) {
	r.t.Helper()
	c := openNarrow(r.t, r.addr, lines...)
	return c, within(r.t, "OnUpgrade", r.joined)
}

// publish publishes text to "room" and compares what became of it.
func (r *room) publish(text string, want engine.Delivery) {
	r.t.Helper()
	d, err := r.srv.Publish("room", engine.TextMessage(text))
	if err != nil || d != want {
		r.t.Fatalf("publishing %.20q: %+v, %v; want %+v", text, d, err, want)
	}
}

func queued(n int) engine.Delivery { return engine.Delivery{Queued: n} }

// flushed waits until the loop of ws has delivered what was published before.
func flushed(t *testing.T, ws *engine.WebSocket) {
	t.Helper()
	done := make(chan struct{})
	if err := ws.Do(func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	within(t, "the loop", done)
}

func TestPublishesAndSendsOfOneGoroutineKeepTheirOrder(t *testing.T) {
	const clients, rounds = 20, 200
	joined := make(chan *engine.WebSocket, clients)
	srv := &engine.Server{Loops: 2, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		if err := ws.Subscribe("room"); err != nil {
			t.Error(err)
		}
		joined <- ws
	}}
	addr := listen(t, srv)
	got := make(chan error, clients)
	for range clients {
		next := 0
		dialEngine(t, addr, &engine.DialOptions{
			Callbacks: engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) {
				if want := fmt.Sprint(next); string(text) != want {
					got <- fmt.Errorf("got %q, want %q", text, want)
				}
				if next++; next == 3*rounds {
					got <- nil
				}
			}},
		})
	}
	var all []*engine.WebSocket
	for range clients {
		all = append(all, within(t, "OnUpgrade", joined))
	}
	for i := range rounds {
		for j := range 2 {
			d, err := srv.Publish("room", engine.TextMessage(fmt.Append(nil, 3*i+j)))
			if err != nil || d.Queued != clients {
				t.Fatalf("publish: %+v, %v", d, err)
			}
		}
		for _, ws := range all {
			if err := ws.SendText(fmt.Sprint(3*i + 2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range clients {
		if err := within(t, "the last message", got); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPublishReachesSubscribersOnEveryLoopOnceAndNobodyElse(t *testing.T) {
	const clients = 16
	r := openRoom(t, &engine.Server{Loops: 3})
	var peers []*rawClient
	var sockets []*engine.WebSocket
	for range clients {
		c, ws := r.join()
		peers, sockets = append(peers, c), append(sockets, ws)
	}
	if err := sockets[0].Subscribe("room"); err != nil { // twice is once
		t.Error(err)
	}
	if err := sockets[1].Unsubscribe("room"); err != nil {
		t.Error(err)
	}
	if err := sockets[1].Unsubscribe("room"); err != nil {
		t.Error(err)
	}
	if n := r.srv.Topic("room").Subscribers(); n != clients-1 {
		t.Errorf("%d subscribers, want %d", n, clients-1)
	}
	r.publish("one", queued(clients-1))
	if d, err := sockets[2].Publish("room", engine.BinaryMessage([]byte("two"))); err != nil || d != queued(clients-2) {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := sockets[1].Publish("room", engine.TextMessage("three")); err != nil || d != queued(clients-1) {
		t.Errorf("from one that is not subscribed: %+v, %v", d, err)
	}
	for i, c := range peers {
		if err := sockets[i].SendText("end"); err != nil {
			t.Error(err)
		}
		if i != 1 {
			c.wantMessage(engine.Text, "one")
			if i != 2 {
				c.wantMessage(engine.Binary, "two")
			}
			c.wantMessage(engine.Text, "three")
		}
		c.wantMessage(engine.Text, "end")
	}
}

func TestWhatWasPublishedBeforeUnsubscribeOrCloseIsDelivered(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	r.srv.Topic("room").FlushEvery(time.Hour) // nothing goes by itself
	leaver, left := r.join()
	closer, closed := r.join()
	r.publish("before", queued(2))
	if err := left.Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	r.publish("after", queued(1))
	if err := left.SendText("end"); err != nil {
		t.Fatal(err)
	}
	leaver.wantMessage(engine.Text, "before")
	leaver.wantMessage(engine.Text, "end")
	if err := closed.Close(engine.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	closer.wantMessage(engine.Text, "before")
	closer.wantMessage(engine.Text, "after")
	if code, _ := closer.readClose(); code != engine.StatusNormalClosure {
		t.Errorf("close code %d", code)
	}
	if n := r.srv.Topic("room").Subscribers(); n != 0 {
		t.Errorf("%d subscribers after the last one began to close", n)
	}
	r.publish("late", queued(0))
	if err := closed.Subscribe("room"); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
}

// A slow loop must not make a direct send or a publish wait for FlushEvery.
func TestFlushEveryDelaysAndASendDoesNot(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	topic := r.srv.Topic("room")
	topic.FlushEvery(time.Hour)
	c, ws := r.join()
	r.publish("1", queued(1))
	r.publish("2", queued(1))
	flushed(t, ws)
	if n := r.srv.Stats().MessagesOut; n != 0 {
		t.Errorf("%d messages went before their time", n)
	}
	if err := ws.SendText("3"); err != nil { // keeps the order
		t.Fatal(err)
	}
	for _, want := range []string{"1", "2", "3"} {
		c.wantMessage(engine.Text, want)
	}

	other := r.srv.Topic("other")
	other.FlushEvery(time.Millisecond)
	if err := ws.Subscribe("other"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"4", "5"} {
		if d, err := other.Publish(engine.TextMessage(text)); err != nil || d != queued(1) {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	c.wantMessage(engine.Text, "4")
	c.wantMessage(engine.Text, "5")
}

// RFC 6455 section 5.4: a message may not break into another one's fragments.
func TestPublishWaitsForTheEndOfAFragmentedMessage(t *testing.T) {
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
	fragment("b", false) // catches up
	r.publish("two", queued(1))
	flushed(t, ws)
	r.publish("three", queued(1)) // decided on by itself
	if err := ws.Ping([]byte("control frames may")); err != nil {
		t.Fatal(err)
	}
	fragment("c", true)
	c.wantFrame(engine.Text, false, "a")
	c.wantFrame(engine.Continuation, false, "b")
	c.wantFrame(9, true, "control frames may")
	c.wantFrame(engine.Continuation, true, "c")
	for _, want := range []string{"one", "two", "three"} {
		c.wantMessage(engine.Text, want)
	}
	flushed(t, ws)
	fragment("d", false) // in flight when the fragment begins
	r.publish("four", queued(1))
	flushed(t, ws)
	fragment("e", true)
	if err := ws.SendText("five"); err != nil {
		t.Fatal(err)
	}
	c.wantFrame(engine.Text, false, "d")
	c.wantFrame(engine.Continuation, true, "e")
	c.wantMessage(engine.Text, "four")
	c.wantMessage(engine.Text, "five")
}

func TestPublishFromCallbacksAndAfterTheEnd(t *testing.T) {
	closed := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{Loops: 2, Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) {
			if d, err := ws.Publish("room", engine.TextMessage(text)); err != nil || d != queued(1) {
				t.Errorf("from OnText: %+v, %v", d, err)
			}
			if string(text) == "both" {
				if _, err := ws.Publish("room", engine.TextMessage("2")); err != nil {
					t.Error(err)
				}
			}
		},
		OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) {
			if d, err := ws.Publish("room", engine.TextMessage("left")); err != nil || d.Subscribers() > 1 {
				t.Errorf("from OnClose: %+v, %v", d, err)
			}
			closed <- ws
		},
	}}
	r := openRoom(t, srv)
	talker, _ := r.join()
	listener, _ := r.join()
	talker.sendFrame(engine.Text, true, []byte("both"))
	listener.wantMessage(engine.Text, "both")
	listener.wantMessage(engine.Text, "2")
	_ = talker.Close()
	listener.wantMessage(engine.Text, "left")
	gone := within(t, "OnClose", closed)
	if d, err := gone.Publish("room", engine.TextMessage("ghost")); err != nil || d != queued(1) {
		t.Errorf("from a closed connection: %+v, %v", d, err)
	}
	listener.wantMessage(engine.Text, "ghost")
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	within(t, "OnClose", closed)
	if d, err := srv.Publish("room", engine.TextMessage("nobody")); err != nil || d != queued(0) {
		t.Errorf("after Close: %+v, %v", d, err)
	}
	if n := srv.Topic("room").Subscribers(); n != 0 {
		t.Errorf("%d subscribers after Close", n)
	}
	if err := gone.Subscribe("room"); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
}

func TestTopicsRefuseWhatTheyCannotCarry(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	r.join()
	if _, err := r.srv.Publish("room", engine.Message{Op: engine.Continuation}); !errors.Is(err, engine.ErrNotData) {
		t.Error("a control or continuation frame:", err)
	}
	ws := dialEngine(t, r.addr, nil)
	within(t, "OnUpgrade", r.joined)
	if err := ws.Subscribe("room"); !errors.Is(err, engine.ErrNoTopics) {
		t.Error("Subscribe of a dialed connection:", err)
	}
	if err := ws.Unsubscribe("room"); !errors.Is(err, engine.ErrNoTopics) {
		t.Error("Unsubscribe of a dialed connection:", err)
	}
	if _, err := ws.Publish("room", engine.TextMessage("")); !errors.Is(err, engine.ErrNoTopics) {
		t.Error("Publish of a dialed connection:", err)
	}
}

func TestOneConnectionInManyTopics(t *testing.T) {
	const topics = 3000
	r := openRoom(t, &engine.Server{Loops: 2})
	c, ws := r.join()
	name := func(i int) string { return fmt.Sprint("topic ", i) }
	for i := range topics {
		if err := ws.Subscribe(name(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < topics; i += 2 {
		if err := ws.Unsubscribe(name(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range topics {
		d, err := r.srv.Publish(name(i), engine.TextMessage(fmt.Append(nil, i)))
		if err != nil || d != queued(i%2) {
			t.Fatalf("topic %d: %+v, %v", i, d, err)
		}
		if i%2 == 1 {
			c.wantMessage(engine.Text, fmt.Sprint(i))
		}
	}
	if topics, parts, subs, _ := engine.HubLeft(r.srv); topics != 1501 || parts != 1501 || subs != 1501 {
		t.Errorf("%d topics, %d parts, %d subscriptions, want 1501 of each", topics, parts, subs)
	}
}
