package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// retain publishes a message that the topic keeps.
func (r *room) retain(topic, key, text string) engine.Delivery {
	r.t.Helper()
	d, err := r.srv.Publish(topic, engine.Message{Op: engine.Text, Data: []byte(text), Key: key, Retain: true})
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// wantAll reads these texts.
func wantAll(c interface {
	wantMessage(engine.OpCode, string)
}, texts ...string) {
	for _, text := range texts {
		c.wantMessage(engine.Text, text)
	}
}

// A new subscriber gets the last value of each key, in the order of the publishes,
// and then what is published later.
func TestSubscriberGetsRetainedMessagesFirst(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 2, Compression: &takeover})
	r.retain("prices", "A", "A 1")
	r.retain("prices", "B", "B 1")
	r.retain("prices", "", "no key 1")
	r.retain("prices", "A", "A 2")
	if d, err := r.srv.Publish("prices", engine.TextMessage("not retained")); err != nil || d != queued(0) {
		t.Fatal(d, err)
	}
	long, before, after := hexNoise(3000), "before", "after"
	r.retain("prices", "C", long)
	for i, offer := range append(fanOffers, fanOffers...) { // on either loop
		c, ws := r.join(offering(offer))
		peer := newDeflateClient(c)
		for range 2 { // the second one is none
			if err := errors.Join(ws.SendText(before), ws.Subscribe("prices"), ws.SendText(after)); err != nil {
				t.Fatal(err)
			}
		}
		if d, err := r.srv.Publish("prices", engine.TextMessage("later")); err != nil || d != queued(i+1) {
			t.Fatal(d, err)
		}
		wantAll(peer, before, "B 1", "no key 1", "A 2", long, after, before, after, "later")
		if err := errors.Join(ws.Unsubscribe("prices"), ws.Subscribe("prices"), ws.SendText("again")); err != nil {
			t.Fatal(err)
		}
		wantAll(peer, "B 1", "no key 1", "A 2", long, "again")
	}
}

// What was published before the subscription, to whatever topic, goes before what is
// retained.
func TestRetainedMessagesFollowWhatWasPublishedBefore(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	r.retain("prices", "", "value")
	c, ws := r.join()
	err := ws.Do(func() { // its loop flushes nothing meanwhile
		r.publish("before", queued(1))
		if err := ws.Subscribe("prices"); err != nil {
			t.Error(err)
		}
		r.publish("after", queued(1))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantAll(c, "before", "value", "after")
}

// An empty retained message removes the value of its key, and reaches the
// subscribers. A topic with retained messages lives without subscribers.
func TestEmptyRetainedMessageRemovesTheValue(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1})
	c, ws := r.join()
	before := heldBy(r.srv)
	r.retain("prices", "A", "A 1")
	r.retain("prices", "B", "B 1")
	if heldBy(r.srv) <= before {
		t.Error("the ledger does not know what is retained")
	}
	if err := ws.Subscribe("prices"); err != nil {
		t.Fatal(err)
	}
	if d := r.retain("prices", "A", ""); d != queued(1) {
		t.Fatal(d)
	}
	wantAll(c, "A 1", "B 1", "")
	if err := errors.Join(ws.Unsubscribe("prices"), ws.Subscribe("prices"), ws.Unsubscribe("prices"), ws.SendText("end")); err != nil {
		t.Fatal(err)
	}
	wantAll(c, "B 1", "end")
	r.retain("prices", "A", "A 2")
	r.srv.Topic("prices").ForgetAll()
	if err := errors.Join(ws.Subscribe("prices"), ws.Unsubscribe("prices"), ws.SendText("end")); err != nil {
		t.Fatal(err)
	}
	wantAll(c, "end")
	eventually(t, "the topic is forgotten", func() bool { topics, _, _, _ := engine.HubLeft(r.srv); return topics == 1 })
	if n := heldBy(r.srv); n != before {
		t.Errorf("%d bytes are held, want %d", n, before)
	}
}

// The first method that is called may be a retained publish.
func TestRetainedBeforeListenIsKept(t *testing.T) {
	r := &room{t: t, joined: make(chan *engine.WebSocket, 1)}
	r.srv = &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		if err := ws.Subscribe("room"); err != nil {
			t.Error(err)
		}
		r.joined <- ws
	}}
	r.retain("room", "", "news")
	r.addr = listen(t, r.srv)
	c, _ := r.join()
	wantAll(c, "news")
}

func TestRetainedMessagesAreBounded(t *testing.T) {
	const size = 1000
	for name, srv := range map[string]*engine.Server{
		"one topic":  {MaxRetained: 20 * (size + 150)},
		"all topics": {MaxRetained: engine.NoLimit, Limits: engine.Limits{MaxMemory: 4 * 20 * (size + 150)}, Loops: 1},
		"default":    {},
	} {
		t.Run(name, func(t *testing.T) {
			r := openRoom(t, srv)
			c, _ := r.join()
			n := 0
			for ; ; n++ {
				m := engine.Message{Op: engine.Text, Data: pattern(size), Key: fmt.Sprint("key ", n), Retain: true}
				topic := "room"
				if name == "all topics" {
					topic = fmt.Sprint(n)
				}
				d, err := r.srv.Publish(topic, m)
				if errors.Is(err, engine.ErrRetained) && d == (engine.Delivery{}) {
					break
				}
				if err != nil || n > 2000 {
					t.Fatal(n, d, err)
				}
				if topic == "room" {
					c.wantMessage(engine.Text, string(pattern(size)))
				}
			}
			if want := map[string]int{"default": 926}[name]; n < 18 || want == 0 && n > 23 || want > 0 && (n < want-50 || n > want+30) {
				t.Errorf("%d messages were retained", n)
			}
			topic := "room"
			if name == "all topics" {
				topic = "1"
			}
			r.retain(topic, "key 1", strings.Repeat("x", size-10)) // in the place of another
		})
	}
}

// What is retained waits behind what waits already, and later publishes behind it:
// for one that is slow, or in a fragmented message.
func TestRetainedMessagesWaitInOrder(t *testing.T) {
	for name, fragment := range map[string]bool{"slow": false, "fragment": true} {
		t.Run(name, func(t *testing.T) {
			srv := &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropNewest}}
			srv.Limits.WriteTimeout, srv.Limits.PingInterval = engine.NoLimit, engine.NoLimit
			r := openRoom(t, srv)
			r.retain("prices", "A", "A 1")
			r.retain("prices", "B", "B 1")
			c, ws := r.joinNarrow()
			sent := 0
			if fragment {
				if err := ws.SendFragment(engine.Text, []byte("first"), false); err != nil {
					t.Fatal(err)
				}
			} else {
				for ; ws.Buffered() == 0; sent++ {
					if err := ws.SendBinary(pattern(32 << 10)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !fragment { // which would be known to be slow by that
				r.publish("before", queued(1))
			}
			if err := ws.Subscribe("prices"); err != nil {
				t.Fatal(err)
			}
			r.retain("prices", "A", "A 2")
			r.publish("after", queued(1))
			flushed(t, ws)
			for range sent {
				c.wantMessage(engine.Binary, string(pattern(32<<10)))
			}
			if fragment {
				if err := ws.SendFragment(engine.Text, []byte("last"), true); err != nil {
					t.Fatal(err)
				}
				c.wantFrame(engine.Text, false, "first")
				c.wantFrame(engine.Continuation, true, "last")
			}
			if !fragment {
				wantAll(c, "before")
			}
			wantAll(c, "A 1", "B 1", "A 2", "after")
		})
	}
}

// A subscriber cannot make its queue grow by subscribing again and again.
func TestSubscribeIsRefusedWhereRetainedMessagesFindNoRoom(t *testing.T) {
	const limit = 1 << 20
	srv := &engine.Server{Loops: 1, Limits: engine.Limits{MaxQueued: limit, WriteTimeout: engine.NoLimit, PingInterval: engine.NoLimit}}
	r := openRoom(t, srv)
	_, ws := r.joinNarrow()
	r.retain("prices", "", string(pattern(100<<10)))
	var err error
	for range 1000 {
		if err = errors.Join(ws.Subscribe("prices"), ws.Unsubscribe("prices")); err != nil {
			break
		}
	}
	if !errors.Is(err, engine.ErrBackpressure) || ws.Buffered() > limit {
		t.Fatalf("%v, %d bytes are queued", err, ws.Buffered())
	}
	if slices.Contains(ws.Topics(), "prices") {
		t.Error("it subscribes in spite of the error")
	}
}

// While a flush goes on in the next iteration, and others publish.
func TestRetainedDuringAFlushThatIsCut(t *testing.T) {
	const clients = 20
	srv := &engine.Server{Loops: 1}
	engine.CutFlushes(srv, 1)
	r := openRoom(t, srv)
	var peers []*rawClient
	var sockets []*engine.WebSocket
	for range clients {
		c, ws := r.join()
		peers, sockets = append(peers, c), append(sockets, ws)
	}
	late, ws := r.join()
	if err := ws.Unsubscribe("room"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	err := sockets[0].Do(func() {
		r.retain("room", "A", "A 1")
		_ = ws.Do(func() { // between two slices
			if engine.FlushLeft(ws) == 0 {
				done <- errors.New("no flush is under way")
			}
			err := ws.Subscribe("room")
			r.retain("room", "A", "A 2")
			r.retain("room", "B", "B 1")
			done <- err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := within(t, "the subscription", done); err != nil {
		t.Fatal(err)
	}
	for _, c := range append(peers, late) {
		wantAll(c, "A 1", "A 2", "B 1")
	}
	if err := ws.SendText("end"); err != nil {
		t.Fatal(err)
	}
	wantAll(late, "end")
}

// The room for retained messages is a quarter of MaxMemory however many topics and
// loops there are: all of it is used, and what it takes is not more.
func TestRetainedMessagesShareAQuarterOfMaxMemory(t *testing.T) {
	const budget, size = 16 << 20, 4000
	for _, loops := range []int{1, 8} {
		for _, topics := range []int{1, 2, 100} {
			t.Run(fmt.Sprintf("%d loops, %d topics", loops, topics), func(t *testing.T) {
				srv := &engine.Server{Loops: loops, MaxRetained: engine.NoLimit, Limits: engine.Limits{MaxMemory: budget}}
				listen(t, srv)
				fill := func() (n int) {
					for ; n < budget/size; n++ {
						m := engine.Message{Op: engine.Binary, Data: pattern(size), Key: fmt.Sprint(n), Retain: true}
						if _, err := srv.Publish(fmt.Sprint("topic ", n%topics), m); errors.Is(err, engine.ErrRetained) {
							break
						} else if err != nil {
							t.Fatal(err)
						}
					}
					if held := heldBy(srv); n*size < budget/4*8/10 || held > budget/4 {
						t.Errorf("%d bytes in %d messages are retained, which take %d of %d", n*size, n, held, budget/4)
					}
					return n
				}
				first := fill()
				for _, l := range srv.Stats().Loops {
					if l.HeldBytes > l.Budget/4+2*size {
						t.Errorf("a loop holds %d bytes of them, of its %d", l.HeldBytes, l.Budget)
					}
				}
				for i := range topics {
					srv.Topic(fmt.Sprint("topic ", i)).ForgetAll()
				}
				if held := heldBy(srv); held != 0 {
					t.Errorf("%d bytes are held when all is removed", held)
				}
				if again := fill(); again != first {
					t.Errorf("%d messages are retained, and %d when all was removed", first, again)
				}
			})
		}
	}
}

// No retained message takes more than a quarter of a loop's part of MaxMemory: it is in
// the ledger of one loop.
func TestRetainedMessageFitsALoop(t *testing.T) {
	srv := &engine.Server{Loops: 4, MaxRetained: engine.NoLimit, Limits: engine.Limits{MaxMemory: 16 << 20}}
	listen(t, srv)
	retain := func(size int) error {
		_, err := srv.Publish("topic", engine.Message{Op: engine.Binary, Data: make([]byte, size), Retain: true})
		return err
	}
	if err := retain(1<<20 - 10_000); err != nil {
		t.Error(err)
	}
	if err := retain(1<<20 + 1); !errors.Is(err, engine.ErrRetained) {
		t.Errorf("a message of more than a quarter of a loop's part: %v", err)
	}
	if err := retain(1000); err != nil { // in the place of the larger one
		t.Error(err)
	}
}
