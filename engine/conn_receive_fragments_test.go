package engine_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// gate hands over how many bytes were received and waits for leave to go on.
type gate struct {
	received chan int
	digest   chan []byte
}

// swallow reads messages piece by piece, pausing after every step bytes.
func (g *gate) swallow(step int) func(ws *engine.WebSocket, op engine.OpCode, piece []byte, fin bool) {
	var sum hash.Hash
	var total, reported int
	return func(ws *engine.WebSocket, op engine.OpCode, piece []byte, fin bool) {
		if sum == nil {
			sum = sha256.New()
		}
		sum.Write(piece)
		if total += len(piece); total-reported >= step && !fin {
			reported = total
			ws.PauseReading()
			g.received <- total
		}
		if fin {
			g.digest <- sum.Sum(nil)
			sum, total, reported = nil, 0, 0
		}
	}
}

func TestMessageOf64MiBStreamsThroughALimitOf1MiB(t *testing.T) {
	const size, step = 64 << 20, 16 << 20
	g := &gate{received: make(chan int, 1), digest: make(chan []byte, 1)}
	opened := make(chan *engine.WebSocket, 1)
	addr := listen(t, &engine.Server{
		Limits:    engine.Limits{MaxMessage: 1 << 20},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnFragment: g.swallow(step)},
	})
	c := openRaw(t, addr)
	ws := within(t, "OnUpgrade", opened)

	part := pattern(1 << 20)
	want := sha256.New()
	for range size / len(part) {
		want.Write(part)
	}
	// One frame: a header for all of it, then a payload under the mask 0.
	head := codec.AppendHeader(nil, codec.Header{OpCode: engine.Binary, Fin: true, Masked: true, Length: size})
	before, _ := liveHeap()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(head)
		for i := 0; err == nil && i < size/len(part); i++ {
			_, err = c.Write(part)
		}
		sent <- err
	}()
	for at := range size/step - 1 {
		n := within(t, "a step of the message", g.received)
		if after, _ := liveHeap(); int64(after)-int64(before) > 2<<20 {
			t.Errorf("step %d: the heap grew by %d bytes for a message that is not kept", at, after-before)
		}
		if n < (at+1)*step {
			t.Errorf("step %d came after %d bytes", at, n)
		}
		ws.ResumeReading()
	}
	select {
	case <-g.received: // the last piece fell on a step
		ws.ResumeReading()
	case got := <-g.digest:
		g.digest <- got
	}
	if got := within(t, "the end of the message", g.digest); !bytes.Equal(got, want.Sum(nil)) {
		t.Error("the message arrived changed")
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// fragment is what OnFragment was given.
type fragment struct {
	op    engine.OpCode
	piece string
	fin   bool
}

func TestOnFragmentKeepsTheOpcodeAndEndsWithFin(t *testing.T) {
	pieces := make(chan fragment, 16)
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
		OnFragment: func(_ *engine.WebSocket, op engine.OpCode, piece []byte, fin bool) {
			pieces <- fragment{op, string(piece), fin}
		},
		OnText: func(*engine.WebSocket, []byte) { t.Error("OnText beside OnFragment") },
	}})
	c := openRaw(t, addr)
	next := func() fragment {
		t.Helper()
		return within(t, "OnFragment", pieces)
	}
	c.send(frame(0x01, "ab"))
	if got := next(); got != (fragment{engine.Text, "ab", false}) {
		t.Errorf("first: %v", got)
	}
	c.send(frame(0x89, "between"))
	c.wantMessage(codec.Pong, "between")
	c.send(frame(0x00, "\xe2\x82")) // half a rune
	if got := next(); got != (fragment{engine.Text, "\xe2\x82", false}) {
		t.Errorf("middle: %v", got)
	}
	c.send(frame(0x80, "\xac"))
	if got := next(); got != (fragment{engine.Text, "\xac", true}) {
		t.Errorf("last: %v", got)
	}
	c.send(frame(0x02, "x"))
	c.send(frame(0x80, ""))
	first, last := next(), next()
	if first != (fragment{engine.Binary, "x", false}) || last != (fragment{engine.Binary, "", true}) {
		t.Errorf("with an empty end: %v %v", first, last)
	}
	c.send(frame(0x01, "\xe2") + frame(0x80, "\xff"))
	if got := next(); got != (fragment{engine.Text, "\xe2", false}) {
		t.Errorf("before bad UTF-8: %v", got)
	}
	c.wantClose(engine.StatusInvalidFramePayloadData)
}

func TestOnFragmentSetLaterCountsFromTheNextMessage(t *testing.T) {
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) {
			_ = ws.SendText("whole " + string(text))
			ws.OnFragment(func(ws *engine.WebSocket, _ engine.OpCode, piece []byte, fin bool) {
				_ = ws.SendText(fmt.Sprintf("piece %s %v", piece, fin))
				if fin {
					ws.OnFragment(nil)
				}
			})
		},
	}})
	c := openRaw(t, addr)
	for range 2 {
		c.send(frame(0x81, "a") + frame(0x01, "b") + frame(0x80, "c"))
		c.wantMessage(engine.Text, "whole a")
		c.wantMessage(engine.Text, "piece b false")
		c.wantMessage(engine.Text, "piece c true")
	}
}

func TestSendFragmentRules(t *testing.T) {
	type step struct {
		do   func(ws *engine.WebSocket) error
		want error
	}
	part := func(op engine.OpCode, p string, fin bool) func(ws *engine.WebSocket) error {
		return func(ws *engine.WebSocket) error { return ws.SendFragment(op, []byte(p), fin) }
	}
	prepared, err := engine.Prepare(engine.Text, []byte("prepared"))
	if err != nil {
		t.Fatal(err)
	}
	steps := []step{
		{part(codec.Ping, "", true), engine.ErrNotData},
		{part(engine.Continuation, "", true), engine.ErrNotData},
		{func(ws *engine.WebSocket) error { return ws.Send(codec.Close, nil) }, engine.ErrNotData},
		{part(engine.Text, "a", false), nil},
		{func(ws *engine.WebSocket) error { return ws.SendText("inside") }, engine.ErrFragmentOpen},
		{func(ws *engine.WebSocket) error { return ws.SendBinary(nil) }, engine.ErrFragmentOpen},
		{func(ws *engine.WebSocket) error { return ws.SendPrepared(prepared) }, engine.ErrFragmentOpen},
		{part(engine.Binary, "other kind", true), engine.ErrFragmentOpen},
		{func(ws *engine.WebSocket) error { return ws.Ping([]byte("between")) }, nil},
		{part(engine.Text, "b", false), nil},
		{part(engine.Text, "", true), nil},
		{part(engine.Binary, "whole", true), nil},
		{func(ws *engine.WebSocket) error { return ws.SendText("after") }, nil},
	}
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, _ []byte) {
		for i, s := range steps {
			if err := s.do(ws); !errors.Is(err, s.want) {
				t.Errorf("step %d returned %v, want %v", i, err, s.want)
			}
		}
	}}})
	c := openRaw(t, addr)
	c.send(frame(0x81, "go"))
	c.wantFrame(engine.Text, false, "a")
	c.wantFrame(codec.Ping, true, "between")
	c.wantFrame(engine.Continuation, false, "b")
	c.wantFrame(engine.Continuation, true, "")
	c.wantFrame(engine.Binary, true, "whole")
	c.wantFrame(engine.Text, true, "after")
}

// The client masks every fragment.
func TestSendFragmentOfAClient(t *testing.T) {
	got := make(chan string, 1)
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
		OnBinary: func(_ *engine.WebSocket, data []byte) { got <- string(data) },
	}})
	ws := dialEngine(t, addr, nil)
	for i, p := range []string{"a", "b", "c"} {
		if err := ws.SendFragment(engine.Binary, []byte(p), i == 2); err != nil {
			t.Fatal(err)
		}
	}
	if m := within(t, "the message", got); m != "abc" {
		t.Errorf("got %q", m)
	}
}

// Pieces are delivered and not kept, so MaxMessage and MaxFragments bound a message for
// OnFragment only if it is compressed: it is assembled first.
func TestOnFragmentBoundsWhatIsAssembled(t *testing.T) {
	const frames, size = 3000, 3
	whole := make(chan int, 1)
	total := 0
	srv := &engine.Server{
		Limits:      engine.Limits{MaxMessage: 1000, MaxFragments: 20},
		Compression: &engine.Compression{},
		Callbacks: engine.Callbacks{OnFragment: func(_ *engine.WebSocket, _ engine.OpCode, piece []byte, fin bool) {
			if total += len(piece); fin {
				whole <- total
			}
		}},
	}
	addr := listen(t, srv)
	dial := func() *rawClient {
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr, "Sec-WebSocket-Extensions: permessage-deflate"))
		c.wantUpgraded()
		return c
	}
	rest := func(n, size int) string { return strings.Repeat(frame(0x00, strings.Repeat("x", size)), n) }

	c := dial()
	c.send(frame(0x02, "xxx") + rest(frames-2, size) + frame(0x80, "xxx"))
	if got := within(t, "the last piece", whole); got != frames*size {
		t.Errorf("%d bytes came, want %d", got, frames*size)
	}
	c = dial()
	c.send(frame(0x42, "x") + rest(20, 1))
	c.wantClose(engine.StatusPolicyViolation)
	c = dial()
	c.send(frame(0x42, strings.Repeat("x", 600)) + rest(1, 600))
	c.wantClose(engine.StatusMessageTooBig)
}
