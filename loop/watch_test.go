package loop

import (
	"log/slog"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// deafPoller is that of a loop whose mail the test reads.
type deafPoller struct{ poller }

func (deafPoller) wake() {}

// startWatch watches one loop that has no goroutine. blocked is asked which callback
// is under way.
func startWatch(blocked func() string) (l *Loop, book *record, stop func()) {
	book = new(record)
	g := &Group{cfg: Config{BlockedAfter: time.Second, Logger: slog.New(book)}, quit: make(chan struct{})}
	l = &Loop{group: g, poller: deafPoller{}}
	g.loops = []*Loop{l}
	w := newWatch(g)
	w.look = func(*Loop) (callback, stack string) { return blocked(), "" }
	go w.run()
	return l, book, func() { close(g.quit) }
}

// A watch that comes late gives each loop the whole time all the same.
func TestLateWatchReportsNoLoopTooSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		l, book, stop := startWatch(func() string {
			looks.Add(1)
			time.Sleep(1500 * time.Millisecond)
			return "main.onText"
		})
		time.Sleep(2500 * time.Millisecond) // reported after 2 s, which takes until 3.5 s
		l.readMail()
		time.Sleep(1700 * time.Millisecond) // held up since then at most 0.7 s
		l.readMail()
		time.Sleep(700 * time.Millisecond)
		l.readMail()
		stop()
		time.Sleep(2 * time.Second) // a report may be under way
		synctest.Wait()
		if looks.Load() != 1 || book.count() != 1 {
			t.Errorf("%d looks, %d reports, want 1", looks.Load(), book.count())
		}
	})
}

// R-i: a loop that is held up by something else is not reported, and looked at less
// and less often. When a callback is found in it after all, that is reported, once
// until the loop goes on.
func TestWatchReportsACallbackOncePerIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		var inCallback atomic.Bool
		l, book, stop := startWatch(func() string {
			looks.Add(1)
			if inCallback.Load() {
				return "main.onText"
			}
			return ""
		})
		time.Sleep(100*time.Second + time.Millisecond)
		synctest.Wait()
		if looks.Load() != 7 || book.count() != 0 { // after 1, 2, 4, ... 64 s
			t.Errorf("%d looks, %d reports of a loop without callback", looks.Load(), book.count())
		}
		inCallback.Store(true)
		time.Sleep(100 * time.Second)
		synctest.Wait()
		if book.count() != 1 {
			t.Errorf("%d reports of one incident", book.count())
		}
		l.readMail()
		time.Sleep(time.Second)
		l.readMail()
		time.Sleep(100 * time.Second)
		synctest.Wait()
		if book.count() != 2 {
			t.Errorf("%d reports of two incidents", book.count())
		}
		stop()
	})
}

// R-i: a loop that has ended, for whatever reason, is not watched any more.
func TestLoopThatHasEndedIsNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		l, _, stop := startWatch(func() string { looks.Add(1); return "main.onText" })
		l.mailbox.shut(&l.taken)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := looks.Load(); n != 0 {
			t.Errorf("looked at %d times", n)
		}
		stop()
	})
}

// The report names what is called, and its stack.
func TestBlockedCallbackIsNamed(t *testing.T) {
	held, free := make(chan struct{}), make(chan struct{})
	block := func() { close(held); <-free }
	for name, provoke := range map[string]func(t *testing.T, g *Group, block func()){
		"Loop.Do": func(_ *testing.T, g *Group, block func()) { _ = g.Loops()[0].Do(block) },
		"OnData": func(t *testing.T, g *Group, block func()) {
			s := newScripted()
			s.onData = func(*scripted, []byte) { block() }
			_, _ = serveOne(t, g, nil, s).Write([]byte("x"))
		},
		"Conn.Do": func(t *testing.T, g *Group, block func()) {
			s := newScripted()
			serveOne(t, g, nil, s)
			_ = s.Do(block)
		},
		"Accept": func(t *testing.T, g *Group, block func()) {
			ln := listen(t, g, nil, func(*Loop) Handler { block(); return newEcho() })
			connectTo(t, ln)
		},
		"OnClose": func(t *testing.T, g *Group, block func()) {
			s := newScripted()
			s.onClose = func(*scripted, error) { block() }
			_ = serveOne(t, g, nil, s).Close()
			s.Close(CloseNow)
		},
	} {
		t.Run(name, func(t *testing.T) {
			held, free = make(chan struct{}), make(chan struct{})
			g := start(t, Config{BlockedAfter: -1})
			l := g.Loops()[0]
			if callback, _ := l.blockedIn(); callback != "" {
				t.Errorf("%s is under way in a loop that waits", callback)
			}
			provoke(t, g, block)
			receive(t, held)
			callback, stack := l.blockedIn()
			close(free)
			if !strings.Contains(callback, "loop.") || !strings.Contains(stack, "watch_test.go") {
				t.Errorf("%q is under way:\n%s", callback, stack)
			}
		})
	}
}

// The watch knows the events of handlers by name.
func TestWatchKnowsEveryEvent(t *testing.T) {
	handler := reflect.TypeFor[PanicHandler]()
	for i := range handler.NumMethod() {
		name := handler.Method(i).Name
		if got, want := isEvent("main.(*conn)."+name), strings.HasPrefix(name, "On"); got != want {
			t.Errorf("isEvent says %v of %s", got, name)
		}
	}
	for name, want := range map[string]bool{
		"loop.callFunc": true, "engine.(*WebSocket).callMessage": true,
		"loop.recall": false, "loop.(*Conn).calls": false, "engine.call": false, "codec.callFunc": false, "loop/x.callFunc": false,
	} {
		if got := calls(modulePath+name, "main.onText"); got != want {
			t.Errorf("calls says %v of %s", got, name)
		}
	}
	if calls("example.com/loop.callFunc", "main.onText") {
		t.Error("a function of another module counts as one of this")
	}
}

func TestWorkOfALoopIsNoCallback(t *testing.T) {
	for stack, want := range map[string]string{
		"": "",
		`goroutine 7 [select]:
compress/flate.(*decompressor).Read(0xc000, {0xc0, 0x1, 0x2})
	/go/flate.go:7 +0x1
` + modulePath + `codec.(*Inflater).Inflate(0xc000)
	/fanloop/codec/inflate.go:7 +0x1
` + modulePath + `engine.(*WebSocket).deliverCompressed(0xc000)
	/fanloop/engine/deflate.go:7 +0x1
` + modulePath + `engine.(*handler).OnData(0xc000)
	/fanloop/engine/handler.go:7 +0x1
` + modulePath + `loop.(*Conn).readReady(0xc000)
	/fanloop/loop/event.go:7 +0x1
created by ` + modulePath + `loop.(*Group).run in goroutine 1
	/fanloop/loop/group.go:7 +0x1`: "",
		`goroutine 7 [sleep]:
time.Sleep(0x7)
	/go/time.go:7 +0x1
...12 frames elided...
main.(*chat).onText(...)
	/chat/main.go:7
` + modulePath + `engine.(*WebSocket).callMessage(0xc000)
	/fanloop/engine/callbacks.go:7 +0x1
` + modulePath + `engine.(*handler).OnData(0xc000)
	/fanloop/engine/handler.go:7 +0x1`: "main.(*chat).onText",
		`goroutine 7 [running]:
myapp.(*conn).OnData(0xc000, {0xc000, 0x1, 0x2})
	/myapp/conn.go:7 +0x1
` + modulePath + `loop.(*Conn).readReady(0xc000)
	/fanloop/loop/event.go:7 +0x1`: "myapp.(*conn).OnData",
		`goroutine 7 [running]:
` + modulePath + `engine/internal/fanout.(*fan).doFlush(0xc000)
	/fanloop/engine/internal/fanout/flush.go:7 +0x1
` + modulePath + `loop.callFunc(...)
	/fanloop/loop/call.go:7 +0x1`: "",
	} {
		if got := callbackIn(stack); got != want {
			t.Errorf("%q is found in\n%s", got, stack)
		}
	}
}
