package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// busy is a server with one loop whose topics are batched, and a clock to drive. A send costs
// 10 ms.
type busy struct {
	*room
	clock   *drivenClock
	clients []*rawClient
	sockets []*engine.WebSocket
}

const (
	sendCost    = 10 * time.Millisecond
	busyClients = 4
	// busyDelay is how long "room" waits behind a flush: as long as that took, and what a
	// delay that is none would make up for.
	busyDelay = 2 * (busyClients*sendCost - time.Millisecond)
)

func openBusy(t *testing.T, srv *engine.Server) *busy {
	t.Helper()
	srv.Loops = 1
	if srv.Batching == nil {
		srv.Batching = &engine.Batching{Prefixes: []string{""}, MaxDelay: time.Hour}
	}
	srv.Batching.SendCost = sendCost
	srv.Limits = engine.Limits{PingInterval: engine.NoLimit}
	x := &busy{clock: drive(t, srv)}
	x.room = openRoom(t, srv)
	for range busyClients {
		x.add()
	}
	return x
}

func (x *busy) add() (*rawClient, *engine.WebSocket) {
	c, ws := x.join()
	x.clients, x.sockets = append(x.clients, c), append(x.sockets, ws)
	return c, ws
}

// out is how many messages were sent so far.
func (x *busy) out() int {
	engine.Turn(x.srv)
	return int(x.srv.Stats().MessagesOut)
}

// wantOut wants so many messages to have been sent.
func (x *busy) wantOut(when string, n int) {
	x.t.Helper()
	if got := x.out(); got != n {
		x.t.Fatalf("%s: %d messages were sent, want %d", when, got, n)
	}
}

// waiting publishes "one", which goes at once, and "two", which waits.
func (x *busy) waiting() {
	x.t.Helper()
	x.publish("one", queued(len(x.sockets)))
	x.wantOut("at once", len(x.sockets))
	x.publish("two", queued(len(x.sockets)))
	x.wantOut("what waits", len(x.sockets))
}

// subscribe makes connections subscribers of another topic.
func (x *busy) subscribe(topic string, sockets []*engine.WebSocket) {
	x.t.Helper()
	for _, ws := range sockets {
		if err := ws.Subscribe(topic); err != nil {
			x.t.Fatal(err)
		}
	}
}

func (x *busy) publishTo(topic, text string) {
	x.t.Helper()
	if _, err := x.srv.Publish(topic, engine.TextMessage(text)); err != nil {
		x.t.Fatal(err)
	}
}

// The first message goes at once. What follows waits until the loop has had as much time for
// others as the flush took, then goes together, and after that it starts over. After a quiet
// time a message goes at once again.
func TestBusyTopicIsFlushedInBatches(t *testing.T) {
	x := openBusy(t, &engine.Server{})
	x.waiting()
	x.clock.step(busyDelay - time.Microsecond)
	x.publish("three", queued(busyClients))
	x.wantOut("before its time", busyClients)
	if d := x.srv.Topic("room").Delay(); d != busyDelay {
		t.Errorf("Delay is %v, want %v", d, busyDelay)
	}
	x.clock.step(time.Microsecond)
	x.wantOut("at its time", 3*busyClients)
	x.publish("four", queued(busyClients))
	x.wantOut("behind the second flush", 3*busyClients)
	x.clock.step(time.Minute)
	x.wantOut("later", 4*busyClients)
	wantEach(x.clients, "one", "two", "three", "four")
	st := x.srv.Stats()
	if st.BatchFlushes != 3 || st.BatchMessages != 4 {
		t.Errorf("%d flushes of %d messages, want 3 of 4", st.BatchFlushes, st.BatchMessages)
	}
	x.clock.step(time.Minute)
	engine.Turn(x.srv)
	if d, st := x.srv.Topic("room").Delay(), x.srv.Stats(); d != 0 || st.BatchDelay != 0 {
		t.Errorf("Delay is %v and %v when all is quiet", d, st.BatchDelay)
	}
	x.publish("five", queued(busyClients))
	x.wantOut("after a quiet time", 5*busyClients)
}

// A topic whose prefix is not listed does not wait, nor does one of a server without Batching.
func TestTopicThatIsNotBatchedNeverWaits(t *testing.T) {
	for name, batching := range map[string]*engine.Batching{
		"another prefix": {Prefixes: []string{"rooms"}, MaxDelay: time.Hour, SendCost: sendCost}, "a nil Batching": nil,
	} {
		t.Run(name, func(t *testing.T) {
			srv := &engine.Server{Loops: 1, Batching: batching}
			x := &busy{clock: drive(t, srv), room: openRoom(t, srv)}
			x.add()
			for i := range 100 {
				x.publish("now", queued(1))
				x.wantOut("at once", i+1)
			}
			if groups, _, _ := engine.GroupsLeft(srv); groups > 0 {
				t.Errorf("%d groups", groups)
			}
		})
	}
}

// Nothing waits in a room that is small or quiet enough for its flushes to take less than half
// of the loop's time.
func TestSmallTopicNeverWaits(t *testing.T) {
	x := openBusy(t, &engine.Server{})
	x.subscribe("small", x.sockets[:1])
	for i := range 200 {
		x.publishTo("small", "now")
		x.wantOut("at once", i+1)
		x.clock.step(2 * sendCost)
	}
	for i := range 20 {
		x.publish("rarely", queued(busyClients))
		x.wantOut("at once", 200+busyClients*(i+1))
		x.clock.step(2 * busyClients * sendCost)
	}
}

// No message waits for longer than MaxDelay, however busy the loop is.
func TestMaxDelayBoundsTheDelay(t *testing.T) {
	const most = 20 * time.Millisecond
	x := openBusy(t, &engine.Server{Batching: &engine.Batching{Prefixes: []string{""}, MaxDelay: most}})
	x.publish("0", queued(busyClients))
	x.wantOut("at once", busyClients)
	for i := 1; i <= 5; i++ {
		x.publish(fmt.Sprint(i), queued(busyClients))
		x.wantOut("behind a flush", i*busyClients)
		x.clock.step(most - 1)
		x.wantOut("before the longest delay", i*busyClients)
		if d := x.srv.Topic("room").Delay(); d != most {
			t.Errorf("Delay is %v, want %v", d, most)
		}
		x.clock.step(1)
		x.wantOut("after the longest delay", (i+1)*busyClients)
	}
}

// Busy topics share the time of their loop: each waits longer, the more there are. One that is
// not busy still goes at once.
func TestBusyTopicsShareTheirLoop(t *testing.T) {
	x := openBusy(t, &engine.Server{})
	for range 2 * busyClients {
		x.add()
	}
	for i := range 3 {
		x.subscribe(fmt.Sprint("room", i), x.sockets[i*busyClients:][:busyClients])
	}
	for i := range 3 {
		x.publishTo(fmt.Sprint("room", i), "at once")
		x.wantOut("at once", (i+1)*busyClients)
	}
	sent := 3 * busyClients
	for round := range 4 {
		for i := range 3 {
			x.publishTo(fmt.Sprint("room", i), "waits")
		}
		together := 6 * busyClients * sendCost // three flushes take half of the time
		if round == 0 {
			together -= 6 * time.Millisecond // the debt that each may have
		}
		x.clock.step(together - time.Microsecond)
		x.wantOut(fmt.Sprint("early in round ", round), sent)
		x.clock.step(time.Microsecond)
		sent += 3 * busyClients
		x.wantOut(fmt.Sprint("at the end of round ", round), sent)
	}
	x.publish("at once", queued(3*busyClients))
	x.wantOut("one that was quiet", sent+3*busyClients)
}

// Topics of one group, which follows the prefix, go in one flush: that of kinds which come by
// themselves rides along with the messages of the room.
func TestTopicsOfAGroupAreDeliveredTogether(t *testing.T) {
	x := openBusy(t, &engine.Server{Batching: &engine.Batching{Prefixes: []string{"", "chat:", "typing:"}, MaxDelay: time.Hour}})
	for _, topic := range []string{"chat:a", "typing:a", "typing:b"} {
		x.subscribe(topic, x.sockets)
	}
	x.publishTo("chat:a", "1")
	x.wantOut("at once", busyClients)
	x.publishTo("typing:a", "2")
	x.publishTo("chat:a", "3")
	x.publishTo("typing:a", "4")
	x.wantOut("what waits", busyClients)
	x.clock.step(busyDelay)
	x.wantOut("the batch", 4*busyClients)
	if st := x.srv.Stats(); st.BatchFlushes != 2 || st.BatchMessages != 4 {
		t.Errorf("%d flushes of %d messages, want 2 of 4", st.BatchFlushes, st.BatchMessages)
	}
	x.publishTo("typing:b", "5") // of another group, whose members get what waits too
	x.wantOut("another group", 5*busyClients)
	wantEach(x.clients, "1", "2", "3", "4", "5")
}

// X36: whatever happens to a connection while a batch waits, it gets all that was published
// before and nothing that came after: once and in order.
func TestWhatHappensWhileABatchWaits(t *testing.T) {
	const last = busyClients - 1
	for name, tt := range map[string]struct {
		while func(x *busy)
		want  func(x *busy) (rest []*rawClient) // who gets "one", "two" and "end"
	}{
		"nothing": {func(*busy) {}, func(x *busy) []*rawClient { return x.clients }},
		"Subscribe": {func(x *busy) {
			x.add()
			x.publish("three", queued(busyClients+1))
		}, func(x *busy) []*rawClient {
			wantEach(x.clients[busyClients:], "three", "end")
			wantEach(x.clients[:busyClients], "one", "two", "three", "end")
			return nil
		}},
		"Unsubscribe": {func(x *busy) {
			sent := x.out()
			if err := x.sockets[last].Unsubscribe("room"); err != nil {
				x.t.Error(err)
			}
			x.wantOut("when Unsubscribe has returned", sent+1)
			x.publish("three", queued(last))
		}, func(x *busy) []*rawClient {
			wantEach(x.clients[last:], "one", "two", "end")
			wantEach(x.clients[:last], "one", "two", "three", "end")
			return nil
		}},
		"Unsubscribe and Subscribe": {func(x *busy) {
			if err := x.sockets[last].Unsubscribe("room"); err != nil {
				x.t.Error(err)
			}
			x.publish("three", queued(last))
			if err := x.sockets[last].Subscribe("room"); err != nil {
				x.t.Error(err)
			}
			x.publish("four", queued(busyClients))
		}, func(x *busy) []*rawClient {
			wantEach(x.clients[last:], "one", "two", "four", "end")
			wantEach(x.clients[:last], "one", "two", "three", "four", "end")
			return nil
		}},
		"everybody leaves": {func(x *busy) {
			for _, ws := range x.sockets {
				if err := ws.Unsubscribe("room"); err != nil {
					x.t.Error(err)
				}
			}
			if groups, debts, held := engine.GroupsLeft(x.srv); groups+debts+held > 0 {
				x.t.Errorf("%d groups are left, %d in debt, %d held", groups, debts, held)
			}
			x.publish("three", queued(0))
		}, func(x *busy) []*rawClient { return x.clients }},
		"a send, which takes along what waits": {func(x *busy) {
			sent := x.out()
			if err := x.sockets[last].SendText("ack"); err != nil {
				x.t.Error(err)
			}
			x.wantOut("when SendText has returned", sent+2)
		}, func(x *busy) []*rawClient {
			wantEach(x.clients[last:], "one", "two", "ack", "end")
			return x.clients[:last]
		}},
		"a publish of a subscriber, who has no copy": {func(x *busy) {
			if d, err := x.sockets[last].Publish("room", engine.TextMessage("three")); err != nil || d != queued(last) {
				x.t.Errorf("%+v, %v", d, err)
			}
		}, func(x *busy) []*rawClient {
			wantEach(x.clients[last:], "one", "two", "end")
			wantEach(x.clients[:last], "one", "two", "three", "end")
			return nil
		}},
		"Close": {func(x *busy) {
			if err := x.sockets[last].Close(engine.StatusNormalClosure, ""); err != nil {
				x.t.Error(err)
			}
			x.publish("three", queued(last))
		}, func(x *busy) []*rawClient {
			wantEach(x.clients[last:], "one", "two")
			if code, _ := x.clients[last].readClose(); code != engine.StatusNormalClosure {
				x.t.Errorf("close code %d", code)
			}
			wantEach(x.clients[:last], "one", "two", "three", "end")
			return nil
		}},
		"CloseNow": {func(x *busy) { x.sockets[last].CloseNow() }, func(x *busy) []*rawClient {
			wantEach(x.clients[last:], "one")
			x.clients[last].wantGone()
			return x.clients[:last]
		}},
		"a fragmented message": {func(x *busy) {
			for _, fin := range []bool{false, true} {
				if err := x.sockets[last].SendFragment(engine.Text, []byte("part"), fin); err != nil {
					x.t.Error(err)
				}
				x.publish("three", queued(busyClients))
			}
		}, func(x *busy) []*rawClient {
			wantEach(x.clients[last:], "one", "two")
			x.clients[last].wantFrame(engine.Text, false, "part")
			x.clients[last].wantFrame(codec.Continuation, true, "part")
			wantEach(x.clients[last:], "three", "three", "end")
			wantEach(x.clients[:last], "one", "two", "three", "three", "end")
			return nil
		}},
		"retained": {func(x *busy) {
			x.retain("room", "key", "value")
			x.add()
		}, func(x *busy) []*rawClient {
			wantEach(x.clients[busyClients:], "value", "end")
			wantEach(x.clients[:busyClients], "one", "two", "value", "end")
			return nil
		}},
		"FlushEvery": {func(x *busy) {
			x.srv.Topic("room").FlushEvery(time.Hour)
			x.publish("three", queued(busyClients))
		}, func(x *busy) []*rawClient {
			wantEach(x.clients, "one", "two", "three", "end")
			return nil
		}},
		"Gap": {func(x *busy) {
			x.srv.Gap("room")
			x.publish("three", queued(busyClients))
		}, func(x *busy) []*rawClient {
			wantEach(x.clients, "one", "two", "gap of 0 in room", "three", "end")
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			x := openBusy(t, &engine.Server{Callbacks: tellingGaps})
			x.waiting()
			tt.while(x)
			x.clock.step(time.Minute)
			engine.Turn(x.srv)
			for _, ws := range x.sockets {
				_ = ws.SendText("end") // some are closed
			}
			wantEach(tt.want(x), "one", "two", "end")
		})
	}
}

// What is published while a flush is under way waits for its end, and is not another flush of
// its own right behind it.
func TestWhatIsPublishedDuringAFlushWaits(t *testing.T) {
	srv := &engine.Server{Batching: &engine.Batching{Prefixes: []string{""}, MaxDelay: time.Hour, SendCost: sendCost}, Limits: engine.Limits{PingInterval: engine.NoLimit}}
	x := &busy{clock: drive(t, srv)}
	engine.SetClock(srv, func() time.Duration { return time.Duration(x.clock.now.Add(1)) }) // slices end
	y := openLongFlush(t, srv)
	x.room = y.room
	y.duringFlush(func() { x.publish("two", queued(longFlushSubscribers)) })
	y.untilFlushed()
	x.wantOut("behind the flush", longFlushSubscribers)
	x.clock.step(2*longFlushSubscribers*sendCost - 3*time.Millisecond)
	x.wantOut("before its time", longFlushSubscribers)
	x.clock.step(3 * time.Millisecond)
	engine.Turn(srv) // which begins the flush
	y.untilFlushed()
	x.wantOut("at its time", 2*longFlushSubscribers)
	wantEach(y.clients, "one", "two")
}

// What waits counts for the limits of slow subscribers and of the topic: a batch ends before
// anything is refused because of it, and when more would gain nothing.
func TestFullBatchDoesNotWait(t *testing.T) {
	for name, tt := range map[string]struct {
		limit, size int
		slow        bool
	}{
		"64 KiB":                 {0, 16 << 10, false},
		"half of what may wait":  {8 << 10, 1 << 10, false},
		"a message beyond that":  {1 << 10, 2 << 10, false},
		"half for a slow server": {8 << 10, 1 << 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &engine.Server{}
			if tt.limit > 0 {
				srv.Slow = engine.Slow{Policy: engine.SlowDropNewest, Limit: tt.limit}
			}
			x := openBusy(t, srv)
			x.publish("first", queued(busyClients))
			x.wantOut("at once", busyClients)
			text, sent := strings.Repeat("x", tt.size), 0
			for x.out() == busyClients && sent < 100 {
				x.publish(text, queued(busyClients))
				sent++
			}
			if n := sent * tt.size; n > max(64<<10, tt.size) || tt.limit > 0 && sent > 1 && n > tt.limit {
				t.Errorf("it was full with %d bytes", n)
			}
			if st := x.srv.Stats(); st.Dropped > 0 {
				t.Errorf("%d were dropped", st.Dropped)
			}
			wantEach(x.clients, "first")
			for range sent {
				wantEach(x.clients, text)
			}
		})
	}
}

// A subscriber that reads nothing is treated by its policy, for what it was not sent when it
// turned out to be slow and for what is published later. The others get all of it.
func TestSlowSubscriberOfABatch(t *testing.T) {
	for policy, want := range map[engine.SlowPolicy][]string{
		engine.SlowDropNewest: {"two", "three", "end"},
		engine.SlowConflate:   {"two", "three", "end"},
	} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			needs(t, fullSockets)
			x := openBusy(t, &engine.Server{})
			c, ws := x.joinNarrow()
			if err := ws.SetSlow(engine.Slow{Policy: policy, Limit: 1 << 20}); err != nil {
				t.Fatal(err)
			}
			x.publish("one", queued(busyClients+1))
			x.wantOut("at once", busyClients+1)
			filler := 0
			for ws.Buffered() == 0 {
				if err := ws.SendBinary(pattern(32 << 10)); err != nil {
					t.Fatal(err)
				}
				filler++
			}
			x.publish("two", queued(busyClients+1)) // waits for both
			x.clock.step(time.Second)
			engine.Turn(x.srv)
			x.publish("three", queued(busyClients+1))
			x.clock.step(time.Second)
			engine.Turn(x.srv)
			wantEach(x.clients, "one", "two", "three")
			c.wantMessage(engine.Text, "one")
			for range filler {
				c.wantMessage(engine.Binary, string(pattern(32<<10)))
			}
			eventually(t, "it is not slow any more", func() bool { _, _, _, slow := engine.HubLeft(x.srv); return slow == 0 })
			if err := ws.SendText("end"); err != nil {
				t.Fatal(err)
			}
			wantAll(c, want...)
		})
	}
}

// Shutdown and Close leave nothing of what waits: Shutdown sends it.
func TestServerEndsWhileABatchWaits(t *testing.T) {
	for name, end := range map[string]func(*engine.Server, context.Context) error{
		"Shutdown": (*engine.Server).Shutdown,
		"Close":    func(srv *engine.Server, _ context.Context) error { return srv.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			x := openBusy(t, &engine.Server{})
			x.waiting()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- end(x.srv, ctx) }()
			for _, c := range x.clients {
				var texts []string
				for {
					h, payload, err := c.readFrame()
					if err != nil {
						break
					}
					if h.OpCode == codec.Close {
						c.sendFrame(codec.Close, true, payload)
						break
					}
					texts = append(texts, string(payload))
				}
				_ = c.Close()
				if want := []string{"one", "two"}; name == "Shutdown" && !slices.Equal(texts, want) {
					t.Errorf("got %q, want %q", texts, want)
				}
			}
			if err := within(t, "the end", ended); err != nil && !errors.Is(err, engine.ErrServerClosed) {
				t.Error(err)
			}
			if topics, parts, subs, slow := engine.HubLeft(x.srv); topics+parts+subs+slow > 0 {
				t.Errorf("left over: %d topics, %d parts, %d subscriptions, %d slow", topics, parts, subs, slow)
			}
		})
	}
}

func TestBatchingIsChecked(t *testing.T) {
	for name, b := range map[string]engine.Batching{
		"Batching.Prefixes": {},
		"Batching.MaxDelay": {Prefixes: []string{""}, MaxDelay: -1},
		"Batching.SendCost": {Prefixes: []string{""}, SendCost: -1},
	} {
		var opt *engine.OptionError
		if _, err := (&engine.Server{Batching: &b}).Listen("127.0.0.1:0"); !errors.As(err, &opt) || opt.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
