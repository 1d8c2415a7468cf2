package loop

import (
	"crypto/tls"
	"io"
	"testing"
	"time"
)

// Or a flush would ask for ever.
func TestABufferForCiphertextTakesSomeOfWhatItIsFor(t *testing.T) {
	for n := 1; n <= 2*maxChunk; n += 1 + n/256 {
		ch := getChunk(sealRoom(n))
		if got := sealable(cap(ch.b)); got < min(n, maxPlaintext) {
			t.Fatalf("%d bytes of plaintext get a buffer for %d", n, got)
		}
		putChunk(ch)
	}
}

// A slow reader of a fan-out holds references, and one batch of ciphertext.
func TestAStalledEncryptedReaderHoldsReferencesAndOneBatch(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newScripted()
		peer := serveTLS(t, g, nil, s, server, client)
		shrink(t, &s.Conn) // the kernel takes less than one of these
		shared := NewShared(make([]byte, 1<<20))
		for range 9 {
			if err := s.WriteShared(shared); err != nil {
				t.Fatal(err)
			}
		}
		s.Lock()
		own, referred := s.HeldLocked()
		received, sealed := s.tls.tallied.received, cap(s.out.sealed.b)
		queued, counted := s.QueuedLocked(), g.Loops()[0].Queued()
		blocked := s.BlockedLocked()
		s.Unlock()
		if own > 2*maxChunk || sealed > maxChunk || received != 0 {
			t.Errorf("%d bytes of its own, %d received and %d sealed", own, received, sealed)
		}
		if n := g.Shared(); n != shared.Cost() || referred < 8*n || referred > 9*n {
			t.Errorf("%d bytes are shared, %d counted for each reference; one frame costs %d", n, referred, shared.Cost())
		}
		if queued < 8<<20 || queued > 9<<20 || !blocked {
			t.Errorf("%d bytes are queued, blocked is %t", queued, blocked)
		}
		if counted != queued {
			t.Errorf("the loop counts %d bytes, the queue %d", counted, queued)
		}
		if n := g.Loops()[0].Encrypted(); n != 1 {
			t.Errorf("the loop counts %d encrypted connections", n)
		}
		s.Close(CloseFlushed)
		got, err := readUntilEnd(peer)
		if err != nil || len(got) != 9<<20 {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		receive(t, s.closed)
		eventually(t, "the loop counts nothing", func() bool { return g.Loops()[0].Queued() == 0 && g.Loops()[0].Encrypted() == 0 })
	})
}

// The policy, OnDrain and the notice of an empty queue go by ciphertext too.
func TestBackpressureOfAnEncryptedConnection(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		policy := &WritePolicy{Limit: 256 << 10, High: 64 << 10, Low: 1 << 10}
		drained, empty := make(chan int, 10), make(chan int, 10)
		g := start(t, Config{})
		s := newScripted()
		s.onDrain = func(s *scripted) { drained <- s.Queued() }
		s.onNotify = func(s *scripted) { empty <- s.Queued() }
		peer := serveTLS(t, g, policy, s, server, client)
		shrink(t, &s.Conn)
		total, refused := 0, false
		for !refused {
			switch err := s.Write(nil, make([]byte, 32<<10)); err {
			case nil:
				total += 32 << 10
			case ErrBackpressure:
				refused = true
			default:
				t.Fatal(err)
			}
		}
		if n := s.Queued(); n > policy.Limit+maxChunk {
			t.Errorf("%d bytes are queued", n)
		}
		s.Lock()
		s.NotifyEmptyLocked()
		s.Unlock()
		if len(drained)+len(empty) > 0 {
			t.Error("an event came while nothing was read")
		}
		_ = peer.SetReadDeadline(time.Now().Add(patience))
		if n, err := io.ReadFull(peer, make([]byte, total)); err != nil {
			t.Errorf("got %d bytes of %d, %v", n, total, err)
		}
		if n := receive(t, drained); n > policy.Low {
			t.Errorf("%d bytes were queued in OnDrain", n)
		}
		if n := receive(t, empty); n != 0 {
			t.Errorf("%d bytes were queued when told that there are none", n)
		}
		s.Close(CloseNow)
		receive(t, s.closed)
		s.checkOrder(t)
	})
}

// A peer that asks for answers and does not read them is not answered for ever.
func TestCiphertextThatThePeerCausesIsBounded(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	g := start(t, Config{})
	s := newScripted()
	peer := serveTLS(t, g, nil, s, server, client)
	fill(t, &s.Conn)
	s.Lock()
	answers := 0
	for ; answers < 1<<20; answers++ {
		if _, err := s.tls.Write(make([]byte, 32)); err != nil {
			wantErr(t, err, errAnswersUnread)
			break
		}
	}
	sealed := cap(s.out.sealed.b)
	s.Unlock()
	if sealed > 2*maxAnswers || answers == 0 {
		t.Errorf("%d answers wait in %d bytes", answers, sealed)
	}
	s.Close(CloseNow)
	receive(t, s.closed)
	_ = peer.Close()
}
