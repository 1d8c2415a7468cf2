package engine_test

import (
	"io"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// F01
func TestDeclaredLengthAllocatesNothing(t *testing.T) {
	addr := listen(t, &engine.Server{Loops: 1, Limits: engine.Limits{MaxMessage: 1 << 40}})
	c := openRaw(t, addr)
	before, _ := allocated()
	c.send(declared(0x82, 1<<40) + "abc" + frame(0x81, "part of it"))
	openRaw(t, addr) // the one loop has read what came before
	after, _ := allocated()
	if after-before > 1<<20 {
		t.Errorf("%d bytes were allocated for a declared length", after-before)
	}
}

// F08
func TestMillionEmptyFragmentsFailAtTheLimit(t *testing.T) {
	addr := listen(t, &engine.Server{})
	c := openRaw(t, addr)
	done := make(chan struct{})
	go func() {
		defer close(done)
		thousand := strings.Repeat(frame(0x00, ""), 1000)
		_, _ = io.WriteString(c.Conn, frame(0x01, ""))
		for range 1000 {
			if _, err := io.WriteString(c.Conn, thousand); err != nil {
				return // the server is through with us
			}
		}
	}()
	if code, _ := c.readClose(); code != engine.StatusPolicyViolation {
		t.Errorf("close code %d, want 1008", code)
	}
	_ = c.Close()
	<-done
}

// F09
func TestOneByteFragmentsCostAtMostTwiceTheLimit(t *testing.T) {
	const limit = 1 << 20
	addr := listen(t, &engine.Server{
		Callbacks: echo,
		Limits:    engine.Limits{MaxMessage: limit, MaxFragments: -1},
	})
	c := openRaw(t, addr)
	part := strings.Repeat(frame(0x00, "a"), 1<<10)
	before, _ := liveHeap()
	c.send(frame(0x01, ""))
	for range limit / (1 << 10) {
		c.send(part)
	}
	c.send(frame(0x89, "read it all?"))
	c.wantMessage(codec.Pong, "read it all?")
	after, _ := liveHeap()
	if grown := int64(after) - int64(before); grown > 2*limit {
		t.Errorf("the heap grew by %d bytes for a message of %d", grown, limit)
	}
	c.send(frame(0x80, ""))
	c.wantMessage(engine.Text, strings.Repeat("a", limit))
}

// F09: the same one byte further is refused.
func TestOneByteFragmentsOverTheLimit(t *testing.T) {
	addr := listen(t, &engine.Server{Limits: engine.Limits{MaxMessage: 1000, MaxFragments: -1}})
	c := openRaw(t, addr)
	c.send(frame(0x01, "") + strings.Repeat(frame(0x00, "a"), 1001))
	c.wantClose(engine.StatusMessageTooBig)
}

const flood = 100_000 // pings

// F17
func TestPingFloodIsRefused(t *testing.T) {
	addr := listen(t, &engine.Server{})
	c := openRaw(t, addr)
	done := make(chan struct{})
	go func() {
		defer close(done)
		part := strings.Repeat(frame(0x89, "0123456789"), 1000)
		for range flood / 1000 {
			if _, err := io.WriteString(c.Conn, part); err != nil {
				return // the server is through with us
			}
		}
	}()
	if code, _ := c.readClose(); code != engine.StatusPolicyViolation {
		t.Errorf("close code %d, want 1008", code)
	}
	_ = c.Close()
	<-done
}

// F17
func TestPongsAreCoalescedForClientThatDoesNotRead(t *testing.T) {
	seen := 0
	all := make(chan struct{})
	addr := listen(t, &engine.Server{
		Limits: engine.Limits{MaxControlRate: -1},
		Callbacks: engine.Callbacks{OnPing: func(*engine.WebSocket, []byte) {
			if seen++; seen == flood+1 {
				close(all)
			}
		}},
	})
	c := openRaw(t, addr)
	part := strings.Repeat(frame(0x89, string(pattern(125))), 1000)
	before, _ := liveHeap()
	for range flood / 1000 {
		c.send(part)
	}
	c.send(frame(0x89, "last"))
	within(t, "the last ping", all)
	after, _ := liveHeap()
	if grown := int64(after) - int64(before); grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes for pongs nobody reads", grown)
	}
	pongs := 0
	for {
		h, payload, err := c.readFrame()
		if err != nil || h.OpCode != codec.Pong {
			t.Fatalf("after %d pongs: %v %v", pongs, h.OpCode, err)
		}
		pongs++
		if string(payload) == "last" {
			break
		}
	}
	if pongs >= flood {
		t.Errorf("%d pongs for %d pings: none were coalesced", pongs, flood)
	}
}

// S-a: who allows a message of 4 MiB allows it in frames of 64 bytes, as
// Autobahn's cases 9.3 and 9.4 send it.
func TestMessageMayComeInFramesOf64Bytes(t *testing.T) {
	const size = 4 << 20
	c := openRaw(t, listen(t, &engine.Server{Callbacks: echo, Limits: engine.Limits{MaxMessage: size}}))
	var frames []byte
	for op, at := engine.Binary, 0; at < size; op, at = codec.Continuation, at+64 {
		frames = codec.AppendMaskedFrame(frames, op, at+64 == size, pattern(64))
	}
	c.send(string(frames))
	h, got, err := c.readFrame()
	if err != nil || h.OpCode != engine.Binary || len(got) != size {
		t.Fatalf("%+v, %d bytes, %v; want the message of %d", h, len(got), err, size)
	}
}
