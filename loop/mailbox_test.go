package loop

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
)

func TestTaskThatPostsItselfLetsIOThrough(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		l := g.Loops()[0]
		var runs atomic.Int64
		var done atomic.Bool
		var again func()
		again = func() {
			runs.Add(1)
			if !done.Load() {
				if err := l.Do(again); err != nil {
					t.Error(err)
				}
			}
		}
		if err := l.Do(again); err != nil {
			t.Fatal(err)
		}
		witness := connectTo(t, listenEcho(t, g))
		for range 20 {
			roundTrip(t, witness, "ping")
		}
		eventually(t, "the task runs again and again", func() bool { return runs.Load() > 100 })
		done.Store(true)
	})
}

func TestFloodOfMailLetsIOThrough(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		l := g.Loops()[0]
		var done atomic.Bool
		var posting sync.WaitGroup
		for range 4 {
			posting.Go(func() {
				for !done.Load() {
					if err := l.Do(func() {}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		witness := connectTo(t, listenEcho(t, g))
		for range 20 {
			roundTrip(t, witness, "ping")
		}
		done.Store(true)
		posting.Wait()
	})
}

func TestMailIsReadInOrderAndOnce(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		l := g.Loops()[0]
		const posters, each = 4, 5000
		var seen [posters]int // owned by the loop
		var posting sync.WaitGroup
		for p := range posters {
			posting.Go(func() {
				for i := range each {
					if err := l.Do(func() {
						if seen[p] != i {
							t.Errorf("poster %d: mail %d was read as number %d", p, i, seen[p])
						}
						seen[p]++
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		posting.Wait()
		onLoop(t, l, func() {
			for p, n := range seen {
				if n != each {
					t.Errorf("poster %d: %d of %d read", p, n, each)
				}
			}
		})
	})
}

func TestOneWakeUntilTheMailboxIsRead(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := startObserved(t, b)
		l := g.Loops()[0]
		stuck, free := make(chan struct{}), make(chan struct{})
		if err := l.Do(func() { close(stuck); <-free }); err != nil {
			t.Fatal(err)
		}
		receive(t, stuck)
		before := g.poller.wakeCount()
		for range 1000 {
			if err := l.Do(func() {}); err != nil {
				t.Fatal(err)
			}
		}
		if n := g.poller.wakeCount() - before; n != 1 {
			t.Errorf("1000 posts woke the loop %d times", n)
		}
		close(free)
		onLoop(t, l, func() {})
	})
}

func TestNotifyIsAnsweredOnceForAnyNumberOfCalls(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		var answers atomic.Int32
		s.onNotify = func(s *scripted) {
			if answers.Add(1) == 1 {
				s.Notify() // inside its own event: answered after it
			}
		}
		serveOne(t, g, nil, s)
		l := g.Loops()[0]
		onLoop(t, l, func() {
			for range 100 {
				s.Notify()
			}
		})
		eventually(t, "both are answered", func() bool { return answers.Load() == 2 })
		onLoop(t, l, func() {})
		onLoop(t, l, func() {})
		if n := answers.Load(); n != 2 {
			t.Errorf("answered %d times", n)
		}
	})
}

// No call of Notify or Close may be lost, whatever the loop does meanwhile.
func TestNoNotifyIsLost(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		answered := make(chan struct{}, 1)
		s.onNotify = func(*scripted) {
			select {
			case answered <- struct{}{}:
			default:
			}
		}
		s.onData = func(s *scripted, b []byte) { _ = s.Write(nil, b) }
		peer := serveOne(t, g, nil, s)
		done, echoed := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(echoed)
			floodUntil(peer, done)
		}()
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		for range 300 {
			s.Notify()
			receive(t, answered)
		}
		close(done)
		receive(t, echoed)
	})
}
