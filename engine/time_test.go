package engine_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// The limits of the tests in this file, on a clock that they drive: no peer is as
// slow as a step, which is shorter than any of them.
var timed = engine.Limits{
	PingInterval: time.Second, PongTimeout: time.Second, WriteTimeout: 2 * time.Second,
	ReadTimeout: 2 * time.Second, CloseTimeout: time.Second,
}

const step = 300 * time.Millisecond

// timedRoom is a room with a driven clock.
func timedRoom(t *testing.T, cb engine.Callbacks) (*room, *drivenClock, <-chan ending) {
	cb, ended := record(cb)
	srv := &engine.Server{Loops: 1, Limits: timed, Callbacks: cb}
	clock := drive(t, srv)
	return openRoom(t, srv), clock, ended
}

// notEnded fails if a connection has ended.
func notEnded(t *testing.T, ended <-chan ending) {
	t.Helper()
	select {
	case e := <-ended:
		t.Fatalf("ended with %v", e)
	default:
	}
}

// stepToTheEnd lets time pass until the connection has ended, and fails if that
// takes too long.
func stepToTheEnd(t *testing.T, clock *drivenClock, ended <-chan ending, each func()) ending {
	t.Helper()
	for range 60 {
		select {
		case e := <-ended:
			return e
		default:
		}
		each()
		clock.step(step)
	}
	select {
	case e := <-ended:
		return e
	default:
	}
	t.Fatalf("still open after %v", 60*step)
	return ending{}
}

// F-d, T01, T02: who takes what is queued is alive, though the answer to a ping
// that waits behind it is long in coming.
func TestPeerThatReadsSlowlyAndSteadilyStays(t *testing.T) {
	const total = 2 << 20
	for name, fill := range map[string]func(t *testing.T, r *room, ws *engine.WebSocket){
		"one message": func(t *testing.T, _ *room, ws *engine.WebSocket) {
			if err := ws.SendBinary(pattern(total)); err != nil {
				t.Fatal(err)
			}
		},
		"many messages": func(t *testing.T, _ *room, ws *engine.WebSocket) {
			for range total >> 10 {
				if err := ws.SendBinary(pattern(1 << 10)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"published": func(t *testing.T, r *room, ws *engine.WebSocket) {
			for range total >> 14 {
				if _, err := r.srv.Publish("room", engine.BinaryMessage(pattern(1<<14))); err != nil {
					t.Fatal(err)
				}
				flushed(t, ws)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, clock, ended := timedRoom(t, engine.Callbacks{})
			c, ws := r.joinNarrow()
			fill(t, r, ws)
			for got := 0; got < total; got += 16 << 10 {
				if _, err := io.CopyN(io.Discard, c.br, 16<<10); err != nil {
					t.Fatalf("after %d bytes: %v; %v", got, err, ws.Err())
				}
				clock.step(step)
				notEnded(t, ended)
			}
		})
	}
}

// T01: a peer that takes what is sent after a ping is alive, whatever it does with the
// ping, though nothing was on its way to it when that left.
func TestPeerThatTakesWhatIsSentAfterAPingStays(t *testing.T) {
	needs(t, acknowledgements)
	r, clock, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.joinNarrow()
	for range 30 {
		clock.step(step)
		if err := ws.SendBinary(pattern(1 << 10)); err != nil {
			t.Fatal(err)
		}
		for op := codec.Ping; op == codec.Ping; {
			h, _, err := c.readFrame()
			if err != nil {
				t.Fatal(err, ws.Err())
			}
			op = h.OpCode
		}
		notEnded(t, ended)
	}
	if e := stepToTheEnd(t, clock, ended, func() {}); !errors.Is(e.err, engine.ErrPongTimeout) {
		t.Errorf("ended with %v", e)
	}
}

// F-d with wss.
func TestPeerThatReadsSlowlyOverTLSStays(t *testing.T) {
	const total = 1 << 20
	cb, ended := record(engine.Callbacks{})
	opened := make(chan *engine.WebSocket, 1)
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{Loops: 1, Limits: timed, Callbacks: cb,
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
	clock := drive(t, srv)
	addr := listenTLS(t, srv, id)
	c := newRawClient(t, dialNarrow(t, addr)).secured(id.Client())
	c.send(testkit.UpgradeHead(addr))
	c.wantUpgraded()
	ws := within(t, "OnUpgrade", opened)
	if err := ws.SendBinary(pattern(total)); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < total; got += 16 << 10 {
		if _, err := io.CopyN(io.Discard, c.br, 16<<10); err != nil {
			t.Fatalf("after %d bytes: %v; %v", got, err, ws.Err())
		}
		clock.step(step)
		notEnded(t, ended)
	}
}

// F-d with SlowDropOldest: the queue never empties, because more is published all
// the time.
func TestSlowSubscriberThatReadsOnStays(t *testing.T) {
	r, clock, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.joinNarrow()
	ws.SetSlow(engine.Slow{Policy: engine.SlowDropOldest, Limit: 256 << 10})
	fillTo(t, ws, 100_000)
	for range 100 {
		for range 4 {
			if _, err := r.srv.Publish("room", engine.BinaryMessage(pattern(8<<10))); err != nil {
				t.Fatal(err)
			}
			flushed(t, ws)
		}
		if _, err := io.CopyN(io.Discard, c.br, 16<<10); err != nil {
			t.Fatal(err, ws.Err())
		}
		clock.step(step)
		notEnded(t, ended)
	}
}

// T03: a byte now and then is no progress.
func TestPeerThatReadsAByteAStepIsDropped(t *testing.T) {
	r, clock, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.joinNarrow()
	fillTo(t, ws, 1<<20)
	one := make([]byte, 1)
	e := stepToTheEnd(t, clock, ended, func() { _, _ = io.ReadFull(c.br, one) })
	if !errors.Is(e.err, engine.ErrWriteTimeout) && !errors.Is(e.err, engine.ErrPongTimeout) {
		t.Errorf("ended with %v", e)
	}
}

// F-c, T04: Close, called by a callback in the sweep in which a keep-alive timer is
// due, begins a closing handshake; the timer is not taken for its deadline.
func TestCloseInTheSweepOfAnotherTimerIsNoReset(t *testing.T) {
	const clients, silent = 9, 4
	var sockets []*engine.WebSocket
	var pongs atomic.Int32
	opened := make(chan *engine.WebSocket, 1)
	cb, ended := record(engine.Callbacks{OnPong: func(*engine.WebSocket, []byte) { pongs.Add(1) }})
	cb.OnError = func(_ *engine.WebSocket, err error) {
		if errors.Is(err, engine.ErrPongTimeout) { // inside the sweep
			for _, ws := range sockets {
				_ = ws.Close(4000, "all out")
			}
		}
	}
	srv := &engine.Server{Loops: 1, Limits: timed, Callbacks: cb,
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
	clock := drive(t, srv)
	addr := listen(t, srv)
	conns := make([]*rawClient, clients)
	for i := range conns {
		conns[i] = openRaw(t, addr)
		ws := within(t, "OnUpgrade", opened)
		if i != silent {
			sockets = append(sockets, ws)
		}
	}
	clock.step(time.Second + 20*time.Millisecond) // everyone is pinged
	for i, c := range conns {
		c.wantFrame(codec.Ping, true, "")
		if i != silent {
			c.send(frame(0x8a, ""))
		}
	}
	eventually(t, "the pongs have come", func() bool { return pongs.Load() == clients-1 })
	clock.step(time.Second + 20*time.Millisecond)
	for i, c := range conns {
		if i == silent {
			continue
		}
		for { // those swept earlier were pinged again
			h, p, err := c.readFrame()
			if err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
			if h.OpCode == codec.Ping {
				continue
			}
			if h.OpCode != codec.Close || string(p) != closePayload(4000, "all out") {
				t.Fatalf("client %d got %v %q", i, h.OpCode, p)
			}
			break
		}
		c.send(frame(0x88, closePayload(4000, "")))
		_ = c.Close()
	}
	for range clients {
		e := within(t, "OnClose", ended)
		if e.code != 4000 && !errors.Is(e.err, engine.ErrPongTimeout) {
			t.Errorf("ended with %v", e)
		}
	}
}

// F-e, T05: the peer ends TCP without a close frame and does not read. It is out of
// its topics at once, and its queue is not kept for ever.
func TestEndOfFileWithAFullQueueEndsInTime(t *testing.T) {
	needs(t, fullSockets)
	r, clock, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.joinNarrow()
	fillTo(t, ws, 1<<20)
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "sends are refused", func() bool { return !engine.IsOpen(ws) })
	if n := r.srv.Topic("room").Subscribers(); n != 0 {
		t.Errorf("%d subscribers are left", n)
	}
	if d, err := r.srv.Publish("room", engine.TextMessage("late")); err != nil || d != (engine.Delivery{}) {
		t.Errorf("a publish counts %+v, %v", d, err)
	}
	e := stepToTheEnd(t, clock, ended, func() {})
	if e.code != engine.StatusAbnormalClosure || !errors.Is(e.err, engine.ErrCloseTimeout) {
		t.Errorf("ended with %v", e)
	}
}

// F-q, T05, T06, T07: what is queued when a connection closes arrives, however
// slowly the peer reads.
func TestWhatIsQueuedAtTheEndArrives(t *testing.T) {
	needs(t, fullSockets)
	const message = 1 << 20
	for name, begin := range map[string]func(c *rawClient, ws *engine.WebSocket) error{
		"Close":                func(_ *rawClient, ws *engine.WebSocket) error { return ws.Close(4000, "") },
		"the peer closes":      func(c *rawClient, _ *engine.WebSocket) error { c.send(frame(0x88, closePayload(4000, ""))); return nil },
		"the peer half-closes": func(c *rawClient, _ *engine.WebSocket) error { return c.Conn.(*net.TCPConn).CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			r, clock, ended := timedRoom(t, engine.Callbacks{})
			c, ws := r.joinNarrow()
			if err := ws.SendBinary(pattern(message)); err != nil {
				t.Fatal(err)
			}
			if err := begin(c, ws); err != nil {
				t.Fatal(err)
			}
			eventually(t, "sends are refused", func() bool { return !engine.IsOpen(ws) })
			whole := readSlowly(t, c, clock, ended)
			payload := whole[10:][:message]
			if !bytes.Equal(payload, pattern(message)) {
				t.Fatal("the message is not what was sent")
			}
			rest := string(whole[10+message:])
			if want := "\x88\x02\x0f\xa0"; name != "the peer half-closes" && rest != want {
				t.Errorf("behind the message came %q, want %q", rest, want)
			}
			if name == "Close" {
				c.send(frame(0x88, closePayload(4000, "")))
			}
			_ = c.Close()
			if e := within(t, "OnClose", ended); name != "the peer half-closes" && (e.code != 4000 || e.err != nil) {
				t.Errorf("ended with %v", e)
			}
		})
	}
}

// readSlowly reads all that the server of c sends, 16 KiB a step, until its end or
// its close frame.
func readSlowly(t *testing.T, c *rawClient, clock *drivenClock, ended <-chan ending) (all []byte) {
	t.Helper()
	buf := make([]byte, 16<<10)
	for {
		n, err := io.ReadAtLeast(c.br, buf, 1)
		all = append(all, buf[:n]...)
		if err != nil || bytes.HasSuffix(all, []byte("\x88\x02\x0f\xa0")) {
			return all
		}
		if len(all)%(32<<10) < n {
			clock.step(step)
		}
	}
}

// T06, T07: a peer that closes, or is closed, and does not read what is queued ends
// in time, and what it did not get is reported.
func TestWhatIsNotReadAtTheEndIsReported(t *testing.T) {
	needs(t, fullSockets)
	for name, begin := range map[string]func(c *rawClient, ws *engine.WebSocket){
		"Close":           func(_ *rawClient, ws *engine.WebSocket) { _ = ws.Close(4000, "") },
		"the peer closes": func(c *rawClient, _ *engine.WebSocket) { c.send(frame(0x88, closePayload(4000, ""))) },
	} {
		t.Run(name, func(t *testing.T) {
			failures := make(chan error, 4)
			r, clock, ended := timedRoom(t, engine.Callbacks{OnError: func(_ *engine.WebSocket, err error) { failures <- err }})
			c, ws := r.joinNarrow()
			fillTo(t, ws, 1<<20)
			begin(c, ws)
			eventually(t, "sends are refused", func() bool { return !engine.IsOpen(ws) })
			e := stepToTheEnd(t, clock, ended, func() {})
			if !errors.Is(e.err, engine.ErrCloseTimeout) {
				t.Errorf("ended with %v", e)
			}
			if err := within(t, "OnError", failures); !errors.Is(err, engine.ErrCloseTimeout) {
				t.Error("OnError got", err)
			}
		})
	}
}

// A reset while the answer to a close frame waits behind a queue loses what was
// accepted: that is reported too.
func TestResetWithAQueueIsReportedAfterTheCloseFrame(t *testing.T) {
	needs(t, fullSockets)
	r, _, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.joinNarrow()
	fillTo(t, ws, 1<<20)
	c.send(frame(0x88, closePayload(4000, "")))
	eventually(t, "sends are refused", func() bool { return !engine.IsOpen(ws) })
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	if e := within(t, "OnClose", ended); e.code != 4000 || !errors.Is(e.err, engine.ErrAbnormalClosure) {
		t.Errorf("ended with %v", e)
	}
}

// T06: messages that had begun to come behind the one under way, before the peer knew
// of the close, have their time too: the peer cannot answer before their end.
func TestMessagesBehindTheOneUnderWayAtCloseMayEnd(t *testing.T) {
	r, clock, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.join()
	message := testkit.Masked(engine.Binary, string(pattern(200<<10)))
	c.send(message[:100<<10])
	engine.Turn(r.srv)
	_ = ws.Close(4000, "")
	engine.Turn(r.srv)
	rest := message[100<<10:] // and two more, which the peer has begun by then
	for _, more := range []string{message + message[:50<<10], message[50<<10:] + message[:20<<10], message[20<<10:]} {
		rest += more
		for len(rest) > 2<<10 {
			clock.step(step)
			notEnded(t, ended)
			n := min(40<<10, len(rest)-1)
			c.send(rest[:n])
			rest = rest[n:]
			engine.Turn(r.srv)
		}
	}
	c.send(rest + frame(0x88, closePayload(4000, "")))
	c.wantFrame(codec.Close, true, closePayload(4000, ""))
	_ = c.Close()
	if e := within(t, "OnClose", ended); e.code != 4000 || e.err != nil {
		t.Errorf("ended with %v", e)
	}
}

// T06: a peer that begins messages without end does not answer.
func TestMessagesWithoutEndDoNotPutOffTheClose(t *testing.T) {
	r, clock, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.join()
	_ = ws.Close(4000, "")
	message := testkit.Masked(engine.Binary, string(pattern(50<<10)))
	half := len(message) / 2
	c.send(message[:half])
	e := stepToTheEnd(t, clock, ended, func() {
		_, _ = io.WriteString(c.Conn, message[half:]+message[:half])
		engine.Turn(r.srv)
	})
	if !errors.Is(e.err, engine.ErrCloseTimeout) {
		t.Errorf("ended with %v", e)
	}
}

// T08: the bytes of a message that is arriving are not idleness; a byte now and
// then is.
func TestArrivingMessageIsNotIdle(t *testing.T) {
	for name, tt := range map[string]struct {
		chunk int
		stays bool
	}{"2 KiB a step": {2 << 10, true}, "1 byte a step": {1, false}} {
		t.Run(name, func(t *testing.T) {
			cb, ended := record(engine.Callbacks{})
			limits := timed
			limits.IdleTimeout, limits.ReadTimeout = time.Second, -1
			srv := &engine.Server{Loops: 1, Limits: limits, Callbacks: cb}
			clock := drive(t, srv)
			c := openRaw(t, listen(t, srv))
			msg := testkit.Masked(engine.Binary, string(pattern(200<<10)))
			send := func() {
				c.send(msg[:tt.chunk])
				msg = msg[tt.chunk:]
				engine.Turn(srv)
			}
			if !tt.stays {
				if e := stepToTheEnd(t, clock, ended, send); !errors.Is(e.err, engine.ErrIdleTimeout) {
					t.Errorf("ended with %v", e)
				}
				return
			}
			for range 60 {
				send()
				clock.step(step)
				notEnded(t, ended)
			}
		})
	}
}

// A message that does not get on is not kept for ever, whatever else the peer says.
func TestUnfinishedMessageEndsWithReadTimeout(t *testing.T) {
	cb, ended := record(engine.Callbacks{})
	srv := &engine.Server{Loops: 1, Limits: timed, Callbacks: cb}
	clock := drive(t, srv)
	c := openRaw(t, listen(t, srv))
	c.send(testkit.Masked(engine.Text, "a whole one") + "\x02\x85\x00\x00\x00\x00hello") // fin is missing
	e := stepToTheEnd(t, clock, ended, func() { c.send(frame(0x8a, "")); engine.Turn(srv) })
	if e.code != engine.StatusPolicyViolation || !errors.Is(e.err, engine.ErrReadTimeout) {
		t.Errorf("ended with %v", e)
	}
}

// CloseTimeout counts from the close for a message that had begun by then, too: one
// step more than the limit is enough.
func TestCloseTimeoutCountsFromTheClose(t *testing.T) {
	r, clock, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.join()
	c.send(testkit.Masked(engine.Text, "a whole one") + "\x02\x85\x00\x00\x00\x00hello") // fin is missing
	eventually(t, "it is received", func() bool { return r.srv.Memory().Assembly > 0 })
	_ = ws.Close(4000, "")
	c.wantFrame(codec.Close, true, closePayload(4000, ""))
	clock.step(timed.CloseTimeout + 20*time.Millisecond)
	if e := within(t, "OnClose", ended); !errors.Is(e.err, engine.ErrCloseTimeout) {
		t.Errorf("ended with %v", e)
	}
}

// R-f, T10: what a peer within its rate sent while this process stood still is no
// flood.
func TestPingsThatWaitedForTheServerAreNoFlood(t *testing.T) {
	var pinged atomic.Int64
	cb, ended := record(engine.Callbacks{OnPing: func(*engine.WebSocket, []byte) { pinged.Add(1) }})
	limits := engine.Limits{MaxControlRate: 1000, PingInterval: -1, WriteTimeout: -1, ReadTimeout: -1}
	srv := &engine.Server{Loops: 1, Limits: limits, Callbacks: cb}
	clock := drive(t, srv)
	c := openRaw(t, listen(t, srv))
	go func() { _, _ = io.Copy(io.Discard, bufio.NewReader(c.Conn)); _ = c.Close() }()
	send := func(n int) {
		c.send(string(bytes.Repeat([]byte(frame(0x89, "")), n)))
		eventually(t, "OnPing", func() bool { return pinged.CompareAndSwap(int64(n), 0) })
	}
	send(250)
	clock.step(6 * time.Second)
	send(1500)
	notEnded(t, ended)
	clock.step(6 * time.Second)
	c.send(string(bytes.Repeat([]byte(frame(0x89, "")), 20_000)))
	if e := within(t, "OnClose", ended); e.code != engine.StatusPolicyViolation {
		t.Errorf("ended with %v", e)
	}
}

// R-f: a rate is what it says, however the frames are spread: parts of one that is
// not drained yet add up.
func TestPingsAtTheirRateAreNoFlood(t *testing.T) {
	const rate, interval = 10, 150 * time.Millisecond
	var pinged atomic.Int64
	cb, ended := record(engine.Callbacks{OnPing: func(*engine.WebSocket, []byte) { pinged.Add(1) }})
	limits := engine.Limits{MaxControlRate: rate, PingInterval: -1, WriteTimeout: -1, ReadTimeout: -1}
	srv := &engine.Server{Loops: 1, Limits: limits, Callbacks: cb}
	clock := drive(t, srv)
	c := openRaw(t, listen(t, srv))
	sent := int64(0)
	for i := range 100 {
		clock.step(interval)
		for range 1 + i%2 { // on average one for each tenth of a second
			c.send(frame(0x89, ""))
			c.wantFrame(codec.Pong, true, "")
			sent++
		}
		notEnded(t, ended)
	}
	if pinged.Load() != sent {
		t.Errorf("OnPing came %d times, %d were sent", pinged.Load(), sent)
	}
}

// T11: what the peer of a failed connection sends is discarded, and does not keep it
// from reading why, though reading was paused before.
func TestFailedConnectionIsReadThoughItWasPaused(t *testing.T) {
	r, clock, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.joinNarrow()
	fillTo(t, ws, 256<<10)
	ws.PauseReading()
	c.send(testkit.Masked(engine.Binary, string(pattern(1000)))) // held, or left in the kernel
	engine.Turn(r.srv)
	if err := ws.Do(func() { panic("oops") }); err != nil {
		t.Fatal(err)
	}
	c.send(testkit.Masked(engine.Binary, string(pattern(16<<20)))) // more than the kernel takes
	if code, _ := c.readClose(); code != engine.StatusInternalError {
		t.Errorf("code %d", code)
	}
	_ = c.Close()
	if e := stepToTheEnd(t, clock, ended, func() {}); e.code != engine.StatusInternalError {
		t.Errorf("ended with %v", e)
	}
}
