package loop

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// pipeEnd is a net.Conn over two byte queues that never blocks: a Read without
// bytes returns errNoInput. It hands out one byte at a time.
type pipeEnd struct {
	net.Conn
	in, out *bytes.Buffer
}

func (p pipeEnd) Read(b []byte) (int, error) {
	if p.in.Len() == 0 {
		return 0, errNoInput
	}
	return p.in.Read(b[:1])
}

func (p pipeEnd) Write(b []byte) (int, error)        { return p.out.Write(b) }
func (p pipeEnd) SetWriteDeadline(_ time.Time) error { return nil }

// dripping is a net.Conn whose reads can be taken over after the handshake.
type dripping struct {
	net.Conn
	drip *pipeEnd
}

func (d *dripping) Read(b []byte) (int, error) {
	if d.drip != nil {
		return d.drip.Read(b)
	}
	return d.Conn.Read(b)
}

// R16, and what all of this rests on: after a temporary error a tls.Conn can be
// read again, wherever inside a record that came.
func TestATLSConnCanBeReadAgainAfterATemporaryErrorAtEveryByte(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, client := tlsConfigs(version)
		a, b := net.Pipe()
		under := &dripping{Conn: a}
		reader, writer := tls.Server(under, server), tls.Client(b, client)
		handshakeOver := make(chan error, 1)
		go func() { handshakeOver <- writer.Handshake() }()
		if err := errors.Join(reader.Handshake(), receive(t, handshakeOver)); err != nil {
			t.Fatal(err)
		}
		var sealed bytes.Buffer
		go func() {
			for range 3 {
				_, _ = writer.Write(bytes.Repeat([]byte("record"), 100))
			}
			_ = writer.Close()
		}()
		_, _ = io.Copy(&sealed, a)

		under.drip = &pipeEnd{in: new(bytes.Buffer), out: new(bytes.Buffer)}
		var got []byte
		var err error
		again, buf := 0, make([]byte, maxPlaintext)
		for _, x := range sealed.Bytes() {
			under.drip.in.WriteByte(x)
			var n int
			n, err = reader.Read(buf)
			got = append(got, buf[:n]...)
			if err == errNoInput {
				again++
			}
		}
		if want := bytes.Repeat([]byte("record"), 300); !bytes.Equal(got, want) || err != io.EOF {
			t.Errorf("%s: got %d bytes and %v, want %d and EOF", tls.VersionName(version), len(got), err, len(want))
		}
		if again < sealed.Len()-10 {
			t.Errorf("%s: %d reads of %d were resumed: nothing is proven", tls.VersionName(version), again, sealed.Len())
		}
	}
}

// single sends one byte at a time, each when the loop has taken the one before.
type single struct {
	net.Conn
	l    *Loop
	sent uint64
}

func (s *single) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		s.sent++
		for end := time.Now().Add(patience); s.l.Counters().BytesIn < s.sent; time.Sleep(time.Microsecond) { // leaves a single CPU to the loop
			if time.Now().After(end) {
				return i, errors.New("the loop did not take a byte")
			}
		}
	}
	return len(p), nil
}

// R16: the handshake, records of several sizes and close_notify, byte by byte.
func TestRecordsSplitAtEveryByteArriveWhole(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newEcho()
		handshakeOver := secure(s, asServer(server))
		peer := tls.Client(&single{Conn: serveOne(t, g, nil, s), l: g.Loops()[0]}, client)
		for _, size := range []int{1, 2, 100, 511, 512, 513, 3000} {
			msg := make([]byte, size)
			_, _ = rand.Read(msg)
			roundTrip(t, peer, string(msg))
		}
		receive(t, handshakeOver)
		_ = peer.CloseWrite()
		if rest := readAll(t, peer); len(rest) > 0 {
			t.Errorf("%d bytes more came", len(rest))
		}
		if err := receive(t, s.closed); err != nil {
			t.Error(err)
		}
		s.checkOrder(t)
	})
}

// inPieces sends pieces of any size, records cut and joined.
type inPieces struct {
	net.Conn
	cut func(n int) int
	buf []byte
}

func (p *inPieces) Write(b []byte) (int, error) {
	p.buf = append(p.buf, b...)
	for len(p.buf) > 0 {
		n := p.cut(len(p.buf))
		if n == 0 {
			break
		}
		if _, err := p.Conn.Write(p.buf[:n]); err != nil {
			return 0, err
		}
		p.buf = p.buf[n:]
	}
	return len(b), nil
}

// The loop pauses reading at will: what arrives is what was sent.
func TestNothingIsLostOrDeliveredWhileEncryptedReadingIsPaused(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		random := newRandom(t)
		g := start(t, Config{})
		s := newScripted()
		paused := false
		sum := sha256.New()
		var total int
		ended := make(chan struct{})
		s.onData = func(s *scripted, b []byte) {
			if paused {
				t.Error("OnData came while reading was paused")
			}
			sum.Write(b)
			total += len(b)
			switch random.IntN(8) {
			case 0:
				s.PauseRead()
				paused = true
				s.SetTimer(1)
			case 1:
				s.PauseRead()
				s.ResumeRead()
			case 2:
				s.PauseRead()
				paused = true
				s.Notify()
			}
		}
		resume := func(s *scripted) {
			paused = false
			s.ResumeRead()
		}
		s.onTimer, s.onNotify = resume, resume
		s.onEOF = func(s *scripted) {
			if paused {
				t.Error("OnEOF came while reading was paused")
			}
			close(ended)
			s.Close(CloseFlushed)
		}
		handshakeOver := secure(s, asServer(server))
		pieces := &inPieces{Conn: serveOne(t, g, nil, s), cut: func(n int) int { return n }}
		peer := tls.Client(pieces, client)
		if err := peer.Handshake(); err != nil {
			t.Fatal(err)
		}
		receive(t, handshakeOver)
		cuts := newRandom(t)
		pieces.cut = func(n int) int { return cuts.IntN(n + 1) }
		want, sent := sha256.New(), 0
		for range 600 {
			msg := make([]byte, cuts.IntN(3000))
			if cuts.IntN(20) == 0 {
				msg = make([]byte, cuts.IntN(100<<10))
			}
			_, _ = rand.Read(msg)
			want.Write(msg)
			sent += len(msg)
			if _, err := peer.Write(msg); err != nil {
				t.Fatal(err)
			}
		}
		pieces.cut = func(n int) int { return n }
		_ = peer.CloseWrite()
		receive(t, ended)
		if !bytes.Equal(sum.Sum(nil), want.Sum(nil)) {
			t.Errorf("%d bytes arrived that differ from the %d sent", total, sent)
		}
		receive(t, s.closed)
		s.checkOrder(t)
	})
}

// What a peer that pauses inside a record has sent of it is all that is kept.
func TestAPartOfARecordIsKeptInABufferOfItsSize(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, client := tlsConfigs(version)
		client.DynamicRecordSizingDisabled = true
		g := start(t, Config{})
		s := newEcho()
		handshakeOver := secure(s, asServer(server))
		wire := &inPieces{Conn: serveOne(t, g, nil, s), cut: func(n int) int { return n }}
		peer := tls.Client(wire, client)
		roundTrip(t, peer, "first")
		receive(t, handshakeOver)
		wire.cut = func(int) int { return 0 }
		for _, size := range []int{10, 500, 6 << 10, 20 << 10, 78 << 10} {
			msg := make([]byte, size)
			_, _ = rand.Read(msg)
			_, _ = peer.Write(msg[:size/2])
			_, _ = peer.Write(msg[size/2:])
			const missing = 20
			sealed := wire.buf
			rest := 0
			for at := 0; at < len(sealed); at += recordSize(sealed[at:]) {
				rest = recordSize(sealed[at:]) - missing
			}
			onLoop(t, g.Loops()[0], func() { // as if all but the end had come with the handshake
				s.Lock()
				s.tls.takeOverLocked(sealed[:len(sealed)-missing])
				s.Unlock()
				s.resumeSealed()
				s.Lock()
				defer s.Unlock()
				if n := len(s.tls.kept.b); n != rest {
					t.Errorf("%d bytes are kept of a record of which %d came", n, rest)
				}
				if ch := s.tls.kept.chunk; ch == nil || cap(ch.b) > max(minChunk, 2*rest) {
					t.Errorf("%s, %d bytes: what is kept takes more than twice its %d bytes", tls.VersionName(version), size, rest)
				}
			})
			wire.buf = nil
			if _, err := wire.Conn.Write(sealed[len(sealed)-missing:]); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, size)
			if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, msg) {
				t.Errorf("%d bytes came back changed: %v", size, err)
			}
		}
		s.Close(CloseNow)
		receive(t, s.closed)
	}
}

// Where a tls.Conn does not look at what it is lent, it is noticed, and nothing
// is lost.
func TestATLSConnThatIgnoresWhatItIsLentReadsByItself(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	defer func(at uintptr, on bool) { rawInputAt = at; lending.Store(on) }(rawInputAt, lending.Load())
	g := start(t, Config{})
	s := newEcho()
	peer := serveTLS(t, g, nil, s, server, client)
	roundTrip(t, peer, "lent")
	if !lending.Load() {
		t.Fatal("nothing is lent with this version of crypto/tls")
	}
	onLoop(t, g.Loops()[0], func() { rawInputAt = handAt })
	roundTrip(t, peer, "not lent")
	roundTrip(t, peer, "and so on")
	if lending.Load() {
		t.Error("it is still lent")
	}
	s.Close(CloseFlushed)
	receive(t, s.closed)
	s.checkOrder(t)
	onLoop(t, g.Loops()[0], func() {})
}

// Between the look at what is kept and the receive, another goroutine may resume
// reading: what was received before goes first all the same.
func TestNothingIsReceivedBeforeWhatIsKept(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newEcho()
		peer := serveTLS(t, g, nil, s, server, client)
		roundTrip(t, peer, "first")
		onLoop(t, g.Loops()[0], func() {
			for _, kept := range []bool{false, true} {
				s.tls.unread = kept
				if _, full := s.enterSealed(); full != kept {
					t.Errorf("with records kept %t, receiving stops: %t", kept, full)
				}
				s.leave()
			}
			s.tls.unread = false
		})
		roundTrip(t, peer, "second")
		s.Close(CloseFlushed)
		receive(t, s.closed)
	})
}
