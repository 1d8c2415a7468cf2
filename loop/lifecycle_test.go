package loop

import (
	"context"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// L05: starting and stopping leaves nothing behind.
func TestCyclesOfStartAndStopLeaveNothingBehind(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		cycle := func() {
			g, err := Start(Config{Loops: 2, Backend: b})
			if err != nil {
				t.Fatal(err)
			}
			ln := listenEcho(t, g)
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			roundTrip(t, nc, "hello")
			dialed := newScripted()
			dialTo(t, g, ln.Addr(), DialConfig{}, dialed)
			stop(t, g)
			if err := receive(t, dialed.closed); err == nil { // Stop, or the end of the other side, which stops too
				t.Error("OnClose without a reason")
			}
		}
		cycle()
		goroutines, open := runtime.NumGoroutine(), len(descriptors())
		for range 200 {
			cycle()
		}
		eventually(t, "goroutines are back at the baseline", func() bool { return runtime.NumGoroutine() <= goroutines })
		if now, ok := descriptorsFallTo(open); !ok {
			t.Errorf("%d descriptors were open, now %v", open, now)
		}
	})
}

// What is on its way to a loop when it stops is closed, not forgotten: TestMain
// counts the descriptors.
func TestNothingLeaksWhenWorkMeetsStop(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		for range 30 {
			g, err := Start(Config{Loops: 2, Backend: b, BlockedAfter: -1})
			if err != nil {
				t.Fatal(err)
			}
			ln := listenEcho(t, g)
			var begin, end sync.WaitGroup
			begin.Add(1)
			work := func(fn func() (*scripted, error)) {
				end.Go(func() {
					begin.Wait()
					s, err := fn()
					if s == nil {
						return
					}
					if err == nil {
						receive(t, s.closed)
						s.checkOrder(t)
					} else if s.ends.Load() != 0 {
						t.Error("OnClose came though an error was returned")
					}
				})
			}
			for range 4 {
				a, peer := socketPair(t, syscall.SOCK_STREAM)
				work(func() (*scripted, error) { s := newScripted(); return s, g.Adopt(a, s, nil) })
				work(func() (*scripted, error) { s := newScripted(); return s, g.Dial(ln.Addr(), s, DialConfig{}) })
				work(func() (*scripted, error) {
					_, err := g.Listen("127.0.0.1:0", ListenConfig{Accept: func(*Loop) Handler { return newEcho() }})
					return nil, err
				})
				work(func() (*scripted, error) {
					nc, err := net.Dial("tcp", ln.Addr().String())
					if err == nil {
						_ = nc.Close()
					}
					return nil, err
				})
				end.Go(func() { begin.Wait(); _ = peer.Close() })
			}
			end.Go(func() { begin.Wait(); stop(t, g) })
			begin.Done()
			end.Wait()
			stop(t, g)
			if n := g.Conns(); n != 0 {
				t.Errorf("%d connections outlive their group", n)
			}
		}
	})
}

// The same, one order at a time: a listener whose start is in the mailbox when
// the loop ends.
func TestListenerThatStartsDuringStopIsClosed(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		open := len(descriptors())
		g, err := Start(Config{Loops: 1, Backend: b, BlockedAfter: -1})
		if err != nil {
			t.Fatal(err)
		}
		stuck, free := make(chan struct{}), make(chan struct{})
		l := g.Loops()[0]
		if err := l.Do(func() { l.stopping = true; close(stuck); <-free }); err != nil {
			t.Fatal(err)
		}
		receive(t, stuck) // the turn that ends the loop is under way
		listenEcho(t, g)
		close(free)
		stop(t, g)
		if now, ok := descriptorsFallTo(open); !ok {
			t.Errorf("%d descriptors were open, now %v", open, now)
		}
	})
}

func TestStopTellsEveryConnection(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Loops: 2, Backend: b})
		var conns []*scripted
		for range 10 {
			s := newScripted()
			serveOne(t, g, nil, s)
			conns = append(conns, s)
		}
		if n := g.Conns(); n != len(conns) {
			t.Errorf("the group counts %d connections of %d", n, len(conns))
		}
		stop(t, g)
		receive(t, g.Done())
		for _, s := range conns {
			wantErr(t, receive(t, s.closed), ErrStopped)
			s.checkOrder(t)
		}
	})
}

func TestStopGivesUpWithItsContext(t *testing.T) {
	g := start(t, Config{})
	stuck, free := make(chan struct{}), make(chan struct{})
	if err := g.Loops()[0].Do(func() { close(stuck); <-free }); err != nil {
		t.Fatal(err)
	}
	receive(t, stuck)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantErr(t, g.Stop(ctx), context.Canceled)
	close(free)
	stop(t, g)
}

// R18: a callback that blocks is reported, and other loops go on.
func TestBlockedCallbackIsReported(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		log := &record{}
		g := start(t, Config{Loops: 2, Backend: b, BlockedAfter: 10 * time.Millisecond, Logger: slog.New(log)})
		s := newEcho()
		peer := unixPair(t, g, syscall.SOCK_STREAM, nil, s)
		blocked := g.Loops()[1-s.Loop().Index()]
		free, done := make(chan struct{}), make(chan struct{})
		if err := blocked.Do(func() { <-free; close(done) }); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the loop is reported", func() bool { return log.count() > 0 })
		roundTrip(t, peer, "others go on")
		close(free)
		receive(t, done)
	})
}

// G02: a loop cannot wait for itself.
func TestWaitingForALoopInItsCallbackIsAnError(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Loops: 2, Backend: b})
		other := start(t, Config{Backend: b})
		ln := listenEcho(t, g)
		onLoop(t, g.Loops()[1], func() {
			wantErr(t, g.Stop(context.Background()), ErrInCallback)
			wantErr(t, ln.Close(), ErrInCallback)
			wantErr(t, other.Stop(context.Background()), nil)
			if !g.InCallback() || other.InCallback() {
				t.Error("InCallback does not know its loops")
			}
		})
		if g.InCallback() {
			t.Error("this is no loop")
		}
		roundTrip(t, connectTo(t, ln), "still served")
		wantErr(t, ln.Close(), nil)
	})
}

// A loop passes through the scheduler before the runtime interrupts it for not
// having done so.
func TestLoopYields(t *testing.T) {
	l := &Loop{}
	for _, step := range []struct{ now, yielded time.Duration }{
		{yieldEvery - 1, 0}, {yieldEvery, yieldEvery}, {2*yieldEvery - 1, yieldEvery}, {3 * yieldEvery, 3 * yieldEvery},
	} {
		l.now = step.now
		l.yield()
		if l.yielded != step.yielded {
			t.Errorf("at %v it yielded at %v last, want %v", step.now, l.yielded, step.yielded)
		}
	}
	if yieldEvery >= 10*time.Millisecond {
		t.Errorf("yieldEvery is %v: the runtime interrupts after 10 ms", yieldEvery)
	}
}
