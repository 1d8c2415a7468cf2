package loop

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A SOCK_SEQPACKET socket keeps the boundaries of sends: one record read by
// the peer is one system call of the loop.

func nextRecord(t *testing.T, nc net.Conn) string {
	t.Helper()
	buf := make([]byte, 128<<10)
	n, err := nc.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// What CorkLocked queued and what other writes queued leave in their order, in one
// send, and is counted once.
func TestCorkedMessagesJoinTheSendOfTheirEvent(t *testing.T) {
	needs(t, wholeSends)
	cork := func(s *scripted, p string) bool {
		s.Lock()
		defer s.Unlock()
		return copy(s.CorkLocked(len(p)), p) == len(p)
	}
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		s.onData = func(s *scripted, _ []byte) {
			joined := cork(s, "a") && cork(s, "b")
			_ = s.Write([]byte("1"), []byte("2"))
			joined = joined && cork(s, "c")
			if !joined {
				t.Error("a message did not join what its event queued")
			}
			_ = s.WriteShared(NewShared([]byte("shared")))
			if cork(s, "d") {
				t.Error("a message joined the buffer in front of what was queued before it")
			}
			_ = s.Write(nil, []byte("d"))
		}
		peer := unixPair(t, start(t, Config{Backend: b}), unix.SOCK_SEQPACKET, nil, s)
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if got := nextRecord(t, peer); got != "ab12csharedd" {
			t.Errorf("the peer got %q", got)
		}
		onLoop(t, s.Loop(), func() {})
		onLoop(t, s.Loop(), func() {}) // counters are those of the last iteration
		if n := s.Loop().Counters(); n.MessagesOut != 3 || n.BytesOut != 12 {
			t.Errorf("%d messages and %d bytes were counted, want 3 and 12", n.MessagesOut, n.BytesOut)
		}
	})
}

// Every case in which CorkLocked leaves a message to WriteLocked.
func TestWhatDoesNotCork(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		s := newScripted()
		serveOne(t, start(t, Config{Backend: b}), &WritePolicy{Limit: 100, High: 50, Low: 10}, s)
		none := func(why string, n int) {
			t.Helper()
			s.Lock()
			defer s.Unlock()
			if before := s.QueuedLocked(); s.CorkLocked(n) != nil || s.QueuedLocked() != before {
				t.Errorf("%d bytes were queued %s", n, why)
			}
		}
		none("outside of any event", 1)
		receive(t, s.open)
		free := make(chan struct{})
		_ = s.Do(func() {
			defer close(free)
			none("over High", 51)
			none("over Limit", 101)
			s.SetPolicy(&WritePolicy{})
			none("though the socket takes them from where they are", gatherMin)
			for s.Lock(); s.CorkLocked(gatherMin-1) != nil; {
			}
			s.Unlock()
			none("in a full buffer", gatherMin-1)
			s.Close(CloseLinger)
			none("after Close", 1)
		})
		receive(t, free)
	})
}

func TestWritesOfOneEventLeaveInOneSend(t *testing.T) {
	needs(t, wholeSends)
	writes := func(s *scripted) {
		for _, w := range []string{"a", "b", "c"} {
			_ = s.Write([]byte(w), []byte("1"))
		}
		_ = s.WriteShared(NewShared([]byte("shared")))
		_ = s.Write(nil, []byte("d"))
	}
	const want = "a1b1c1sharedd"
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		s.onOpen, s.onNotify, s.onTimer = writes, writes, writes
		s.onData = func(s *scripted, _ []byte) { writes(s) }
		peer := unixPair(t, g, unix.SOCK_SEQPACKET, nil, s)
		events := []struct {
			name  string
			cause func() error
		}{
			{"OnOpen", func() error { return nil }},
			{"OnData", func() error { _, err := peer.Write([]byte("x")); return err }},
			{"OnNotify", func() error { s.Notify(); return nil }},
			{"Do", func() error { return s.Do(func() { writes(s) }) }},
			{"OnTimer", func() error { return s.Do(func() { s.SetTimer(1) }) }},
		}
		for _, e := range events {
			if err := e.cause(); err != nil {
				t.Fatal(err)
			}
			if got := nextRecord(t, peer); got != want {
				t.Errorf("%s: the peer got %q first, want %q", e.name, got, want)
			}
		}
	})
}

func TestWriteOfAnotherGoroutineJoinsTheCork(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		s := newScripted()
		s.onData = func(s *scripted, _ []byte) {
			_ = s.Write(nil, []byte("loop,"))
			done := make(chan error)
			go func() { done <- s.Write(nil, []byte("other,")) }()
			if err := <-done; err != nil {
				t.Error(err)
			}
			_ = s.Write(nil, []byte("loop"))
		}
		peer := unixPair(t, g, unix.SOCK_SEQPACKET, nil, s)
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if got, want := nextRecord(t, peer), "loop,other,loop"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestLargeWriteTakesTheCorkAlong(t *testing.T) {
	needs(t, wholeSends)
	g := start(t, Config{})
	s := newScripted()
	large := strings.Repeat("x", 2*gatherMin)
	s.onData = func(s *scripted, _ []byte) {
		_ = s.Write(nil, []byte("small"))
		_ = s.Write([]byte("head"), []byte(large))
		if n := s.Queued(); n != 0 {
			t.Errorf("%d bytes are queued after a large write that the socket takes", n)
		}
	}
	peer := unixPair(t, g, unix.SOCK_SEQPACKET, nil, s)
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, want := nextRecord(t, peer), "smallhead"+large; got != want {
		t.Errorf("the first send has %d bytes, want %d", len(got), len(want))
	}
}

// The socket may take a part of what is corked when a large write asks it.
func TestLargeWriteKeepsTheOrderOfACorkThatIsSentInPart(t *testing.T) {
	needs(t, fullSockets)
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		for name, large := range map[string]func(s *scripted, p []byte) error{
			"Write":       func(s *scripted, p []byte) error { return s.Write(p[:3], p[3:]) },
			"WriteShared": func(s *scripted, p []byte) error { return s.WriteShared(NewShared(p)) },
		} {
			s := newScripted()
			peer := unixPair(t, g, unix.SOCK_STREAM, nil, s)
			shrink(t, &s.Conn)
			want := make([]byte, 0, 8*gatherMin)
			onLoop(t, g.Loops()[0], func() {
				s.do(func() {
					for i := range 10 {
						p := bytes.Repeat([]byte{byte(i)}, gatherMin/2)
						_ = s.Write(nil, p)
						want = append(want, p...)
					}
					p := bytes.Repeat([]byte("large"), gatherMin)
					if err := large(s, p); err != nil {
						t.Error(err)
					}
					want = append(want, p...)
					if sent := len(want) - s.Queued(); sent == 0 || sent >= 10*gatherMin/2 {
						t.Errorf("%s: %d bytes were sent at once: nothing is proven", name, sent)
					}
				})
			})
			s.Close(CloseFlushed)
			if got := readAll(t, peer); !bytes.Equal(got, want) {
				t.Errorf("%s: got %d bytes of %d, or others", name, len(got), len(want))
			}
		}
	})
}

// corkIsIdle says that nothing of the loop's cork is lent. Loop only.
func corkIsIdle(l *Loop) bool {
	return len(l.cork.segs) == 0 && l.cork.first == 0 && l.cork.size == 0 && len(l.cork.cork) == 0
}

// What each case leaves of its event must not be in what the next connection
// of the loop sends.
func TestCorkIsGivenBackWhateverBecomesOfTheConnection(t *testing.T) {
	marked := bytes.Repeat([]byte("MINE"), 300)
	shared := NewShared(bytes.Repeat([]byte("SHARED"), 300))
	write := func(s *scripted) {
		_ = s.Write(marked, nil)
		_ = s.WriteShared(shared)
		_ = s.Write(nil, marked)
	}
	cases := map[string]func(t *testing.T, s *scripted, peer *net.TCPConn){
		"all sent": func(t *testing.T, s *scripted, _ *net.TCPConn) { write(s) },
		"blocked": func(t *testing.T, s *scripted, _ *net.TCPConn) {
			for blocked := false; !blocked; {
				write(s)
				_ = s.Write(nil, bytes.Repeat(marked, 20))
				s.Lock()
				blocked = s.BlockedLocked()
				s.Unlock()
			}
			write(s)
		},
		"blocked when the event ends": func(t *testing.T, s *scripted, _ *net.TCPConn) {
			for range 20000 {
				_ = s.WriteShared(shared)
			}
		},
		"CloseNow":     func(t *testing.T, s *scripted, _ *net.TCPConn) { write(s); s.Close(CloseNow) },
		"CloseReset":   func(t *testing.T, s *scripted, _ *net.TCPConn) { write(s); s.Close(CloseReset) },
		"CloseFlushed": func(t *testing.T, s *scripted, _ *net.TCPConn) { write(s); s.Close(CloseFlushed) },
		"CloseLinger":  func(t *testing.T, s *scripted, _ *net.TCPConn) { write(s); s.Close(CloseLinger) },
		"paused":       func(t *testing.T, s *scripted, _ *net.TCPConn) { write(s); s.PauseRead() },
		"paused and resumed": func(t *testing.T, s *scripted, _ *net.TCPConn) {
			s.PauseRead()
			write(s)
			s.ResumeRead()
			write(s)
		},
		"Detach refused": func(t *testing.T, s *scripted, _ *net.TCPConn) {
			for range 20000 {
				_ = s.WriteShared(shared)
			}
			if _, err := s.Detach(); err == nil {
				t.Error("a connection with queued bytes was detached")
			}
		},
		"detached": func(t *testing.T, s *scripted, _ *net.TCPConn) {
			_ = s.Write(marked, nil) // which the socket takes
			nc, err := s.Detach()
			if err != nil {
				t.Error(err)
				return
			}
			_ = nc.Close()
			write(s)
		},
		"peer reset": func(t *testing.T, s *scripted, peer *net.TCPConn) {
			_ = peer.SetLinger(0)
			_ = peer.Close()
			eventually(t, "the reset arrives", s.PeerGone)
			for s.Write(nil, bytes.Repeat(marked, 20)) == nil { // until a write meets it
			}
			write(s)
		},
		"another goroutine": func(t *testing.T, s *scripted, _ *net.TCPConn) {
			done := make(chan struct{})
			go func() { defer close(done); write(s) }()
			write(s)
			<-done
		},
	}
	eachBackend(t, func(t *testing.T, b Backend) {
		for name, event := range cases {
			t.Run(name, func(t *testing.T) {
				g := start(t, Config{Backend: b})
				witness := connectTo(t, listenEcho(t, g))
				s := newScripted()
				peer := serveOne(t, g, nil, s)
				shrink(t, &s.Conn)
				if err := s.Do(func() { event(t, s, peer) }); err != nil {
					t.Fatal(err)
				}
				onLoop(t, s.Loop(), func() {
					if !corkIsIdle(s.loop) {
						t.Errorf("the cork still holds %d bytes in %d segments", s.loop.cork.size, len(s.loop.cork.segs))
					}
				})
				roundTrip(t, witness, "only this")
				g.Loops()[0].Do(func() { s.Close(CloseNow) })
				if err := witness.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if rest := readAll(t, witness); len(rest) != 0 {
					t.Errorf("a connection got %q that was written to another", rest)
				}
			})
		}
	})
}

// While a connection is corked, another goroutine may have to flush it; the
// loop may flush others meanwhile. Neither may see the other's buffers.
func TestTwoFlushesOfOneLoopDoNotMix(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		g := start(t, Config{Backend: b})
		x, y := newScripted(), newScripted()
		xPeer, yPeer := serveOne(t, g, nil, x), serveOne(t, g, nil, y)
		type result struct {
			got []byte
			err error
		}
		results := make(chan result, 2)
		for _, nc := range []net.Conn{xPeer, yPeer} {
			go func() {
				got, err := io.ReadAll(nc)
				results <- result{got, err}
			}()
		}
		const rounds = 2000
		xs, ys := NewShared(bytes.Repeat([]byte("x"), 500)), NewShared(bytes.Repeat([]byte("y"), 500))
		list := make([]*Shared, 20)
		for i := range list {
			list[i] = ys
		}
		onLoop(t, g.Loops()[0], func() {
			x.do(func() {
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range rounds {
						for range len(list) {
							_ = x.WriteShared(xs)
						}
						_ = x.Write(nil, bytes.Repeat([]byte("x"), gatherMin))
					}
				}()
				for range rounds {
					y.Lock()
					if err := y.QueueSharedLocked(list); err != nil {
						t.Error(err)
					}
					y.FlushLocked()
					y.Unlock()
				}
				<-done
			})
			x.Close(CloseFlushed)
			y.Close(CloseFlushed)
		})
		for range 2 {
			r := receive(t, results)
			if r.err != nil {
				t.Error(r.err)
			}
			if len(r.got) == 0 || len(bytes.Trim(r.got, string(r.got[:1]))) != 0 {
				t.Errorf("a peer got %d bytes, not all of one connection", len(r.got))
			}
		}
	})
}

// Between QueueSharedLocked and FlushLocked another goroutine may write.
func TestWriteBeforeFlushLockedKeepsTheOrder(t *testing.T) {
	g := start(t, Config{})
	s := newScripted()
	peer := unixPair(t, g, unix.SOCK_SEQPACKET, nil, s)
	onLoop(t, g.Loops()[0], func() {
		s.Lock()
		if err := s.QueueSharedLocked([]*Shared{NewShared([]byte("1")), NewShared([]byte("2"))}); err != nil {
			t.Error(err)
		}
		s.Unlock()
		if err := s.Write([]byte("3"), []byte("4")); err != nil {
			t.Error(err)
		}
		s.Lock()
		s.FlushLocked()
		s.Unlock()
	})
	if got := nextRecord(t, peer); got != "1234" {
		t.Errorf("got %q", got)
	}
}
