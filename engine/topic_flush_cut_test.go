package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// longFlush is a server with one loop and many subscribers of "room", whose flushes
// are cut again and again.
type longFlush struct {
	*room
	clients []*rawClient
	sockets []*engine.WebSocket
}

const longFlushSubscribers = 100

func openLongFlush(t *testing.T, srv *engine.Server) *longFlush {
	t.Helper()
	srv.Loops = 1
	engine.CutFlushes(srv, 16)
	x := &longFlush{room: openRoom(t, srv)}
	for range longFlushSubscribers {
		c, ws := x.join()
		x.clients, x.sockets = append(x.clients, c), append(x.sockets, ws)
	}
	return x
}

// duringFlush publishes "one" to all and runs fn on the loop while some have it and
// some, the last ones, have not.
func (x *longFlush) duringFlush(fn func()) {
	x.t.Helper()
	release := hold(x.t, x.sockets[0])
	x.publish("one", queued(len(x.sockets)))
	left := make(chan int, 1)
	if err := x.sockets[0].Do(func() {
		n := engine.FlushLeft(x.sockets[0])
		fn()
		left <- n
	}); err != nil {
		x.t.Fatal(err)
	}
	release()
	if n := within(x.t, "what was posted", left); n == 0 || n == len(x.sockets) {
		x.t.Fatalf("it ran when the flush had %d of %d subscribers left", n, len(x.sockets))
	}
}

// untilFlushed turns the loop until no flush is under way.
func (x *longFlush) untilFlushed() {
	x.t.Helper()
	left := make(chan int, 1)
	for {
		if err := x.sockets[0].Do(func() { left <- engine.FlushLeft(x.sockets[0]) }); err != nil {
			x.t.Fatal(err)
		}
		if within(x.t, "a turn of the loop", left) == 0 {
			return
		}
	}
}

// wantEach wants each of clients to get texts.
func wantEach(clients []*rawClient, texts ...string) {
	for _, c := range clients {
		c.t.Helper()
		for _, text := range texts {
			c.wantMessage(engine.Text, text)
		}
	}
}

// U06: what is posted to a loop runs before a publish to many is delivered to all.
func TestFlushToManyLetsOtherWorkIn(t *testing.T) {
	x := openLongFlush(t, &engine.Server{})
	turns := 0 // of the one loop
	over := make(chan struct{})
	var again func()
	again = func() {
		if turns++; engine.FlushLeft(x.sockets[0]) == 0 {
			close(over)
			return
		}
		_ = x.sockets[0].Do(again)
	}
	x.duringFlush(again)
	within(t, "the end of the flush", over)
	if turns < 4 {
		t.Errorf("the flush was cut %d times; it should be every few subscribers", turns)
	}
	wantEach(x.clients, "one")
	x.publish("two", queued(len(x.clients)))
	wantEach(x.clients, "two")
}

// U06: whatever comes between two slices of a flush, everyone gets what was meant
// for him, once and in order.
func TestWhatComesBetweenTwoSlicesOfAFlushKeepsItsPlace(t *testing.T) {
	const last = longFlushSubscribers - 1
	rest := func(x *longFlush) []*rawClient { return x.clients[1:last] }
	for name, tt := range map[string]struct {
		between func(x *longFlush)
		after   func(x *longFlush)
		noEnd   bool // "end" is not sent to everyone: it might go before a gap is reported
	}{
		"a send": {func(x *longFlush) {
			for _, i := range []int{0, last} {
				if err := x.sockets[i].SendText("direct"); err != nil {
					x.t.Error(err)
				}
			}
		}, func(x *longFlush) {
			wantEach(x.clients[:1], "one", "direct", "end")
			wantEach(x.clients[last:], "one", "direct", "end")
			wantEach(rest(x), "one", "end")
		}, false},
		"a publish": {func(x *longFlush) {
			x.publish("two", queued(len(x.sockets)))
			if d, err := x.sockets[last].Publish("room", engine.TextMessage("three")); err != nil || d != queued(last) {
				x.t.Errorf("%+v, %v", d, err)
			}
		}, func(x *longFlush) {
			wantEach(x.clients[last:], "one", "two", "end")
			wantEach(x.clients[:last], "one", "two", "three", "end")
		}, false},
		"a publish to another topic": {func(x *longFlush) {
			for _, i := range []int{0, last} {
				if err := x.sockets[i].Subscribe("other"); err != nil {
					x.t.Error(err)
				}
			}
			if d, err := x.srv.Publish("other", engine.TextMessage("two")); err != nil || d != queued(2) {
				x.t.Errorf("%+v, %v", d, err)
			}
			x.publish("three", queued(len(x.sockets)))
		}, func(x *longFlush) {
			wantEach(x.clients[:1], "one", "two", "three", "end")
			wantEach(x.clients[last:], "one", "two", "three", "end")
			wantEach(rest(x), "one", "three", "end")
		}, false},
		"Unsubscribe and Subscribe": {func(x *longFlush) {
			for _, i := range []int{0, last} {
				if err := x.sockets[i].Unsubscribe("room"); err != nil {
					x.t.Error(err)
				}
			}
			x.publish("two", queued(last-1))
			for _, i := range []int{0, last} {
				if err := x.sockets[i].Subscribe("room"); err != nil {
					x.t.Error(err)
				}
			}
			x.publish("three", queued(last+1))
		}, func(x *longFlush) {
			wantEach(x.clients[:1], "one", "three", "end")
			wantEach(x.clients[last:], "one", "three", "end")
			wantEach(rest(x), "one", "two", "three", "end")
		}, false},
		"Close": {func(x *longFlush) {
			for _, i := range []int{0, last} {
				if err := x.sockets[i].Close(engine.StatusNormalClosure, ""); err != nil {
					x.t.Error(err)
				}
			}
			x.publish("two", queued(last-1))
		}, func(x *longFlush) {
			for _, i := range []int{0, last} {
				wantEach(x.clients[i:i+1], "one")
				if code, _ := x.clients[i].readClose(); code != engine.StatusNormalClosure {
					x.t.Errorf("close code %d", code)
				}
			}
			wantEach(rest(x), "one", "two", "end")
		}, false},
		"CloseNow": {func(x *longFlush) {
			x.sockets[0].CloseNow()
			x.sockets[last].CloseNow()
		}, func(x *longFlush) {
			wantEach(x.clients[:1], "one")
			x.clients[0].wantGone()
			x.clients[last].wantGone()
			wantEach(rest(x), "one", "end")
		}, false},
		"a fragment": {func(x *longFlush) {
			for _, fin := range []bool{false, true} {
				if err := x.sockets[last].SendFragment(engine.Text, []byte("part"), fin); err != nil {
					x.t.Error(err)
				}
				x.publish("two", queued(last+1))
			}
		}, func(x *longFlush) {
			wantEach(x.clients[:last], "one", "two", "two", "end")
			wantEach(x.clients[last:], "one")
			x.clients[last].wantFrame(engine.Text, false, "part")
			x.clients[last].wantFrame(codec.Continuation, true, "part")
			wantEach(x.clients[last:], "two", "two", "end")
		}, false},
		"FlushEvery": {func(x *longFlush) {
			x.srv.Topic("room").FlushEvery(time.Hour)
			x.publish("two", queued(last+1))
		}, func(x *longFlush) {
			wantEach(x.clients, "one", "two", "end") // end catches up
		}, false},
		"refused publishes": {func(x *longFlush) {
			if err := x.srv.Topic("room").SetSlow(engine.Slow{Policy: engine.SlowDropNewest, Limit: 10}); err != nil {
				x.t.Error(err)
			}
			x.publish("two", queued(last+1))
			d, err := x.srv.Publish("room", engine.TextMessage(pattern(10)))
			wantRefused(x.t, last+1, d, err)
		}, func(x *longFlush) {
			wantEach(x.clients, "one", "two", "gap of 1 in room")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			x := openLongFlush(t, &engine.Server{Callbacks: tellingGaps})
			x.duringFlush(func() { tt.between(x) })
			for _, ws := range x.sockets {
				if !tt.noEnd {
					_ = ws.SendText("end") // some are closed
				}
			}
			tt.after(x)
		})
	}
}

// A server that ends in the middle of a flush leaves nothing behind.
func TestServerEndsInTheMiddleOfAFlush(t *testing.T) {
	for name, end := range map[string]func(*engine.Server) error{
		"Close": (*engine.Server).Close,
		"Shutdown": func(srv *engine.Server) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			return srv.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := openLongFlush(t, &engine.Server{})
			over := make(chan error, 1)
			x.duringFlush(func() { go func() { over <- end(x.srv) }() })
			var closing sync.WaitGroup
			for _, c := range x.clients {
				closing.Go(func() {
					defer c.Close()
					for {
						h, payload, err := c.readFrame()
						if err != nil {
							return
						}
						if h.OpCode == codec.Close {
							_, _ = c.Write([]byte(testkit.Masked(codec.Close, string(payload))))
						}
					}
				})
			}
			if err := within(t, "the end", over); err != nil {
				t.Error(err)
			}
			closing.Wait()
			if topics, parts, subs, slow := engine.HubLeft(x.srv); topics+parts+subs+slow != 0 {
				t.Errorf("left over: %d topics, %d parts, %d subscriptions, %d slow", topics, parts, subs, slow)
			}
			if st := x.srv.Stats(); st.QueuedBytes != 0 {
				t.Error(fmt.Sprint(st.QueuedBytes), "bytes count as queued")
			}
		})
	}
}
