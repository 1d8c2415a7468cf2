package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// fanSpan is a subscription, from the call and return of Subscribe to those of
// Unsubscribe.
type fanSpan struct {
	topic                            string
	subCall, subRet, endCall, endRet int64
}

// fanGot is one message as it was received.
type fanGot struct {
	kind           string // P: published, K: published with a key, S: sent directly, G: from OnGap
	worker, number int    // G: number of messages lost
	topic          string
}

// fanPeer is a connection of the model, both sides.
type fanPeer struct {
	name   string
	ws     *engine.WebSocket // the server's side
	slow   bool
	policy engine.SlowPolicy

	leave func()          // sends a close frame from the client's side; it goes on reading
	drop  func()          // ends the client's side at once
	done  <-chan struct{} // the client's side has ended
	gate  chan bool       // what is sent here stops or starts a slow reader

	mu    sync.Mutex
	got   []fanGot
	ends  int // times that "end" was received
	gaps  map[string]int
	spans []fanSpan

	closeCall atomic.Int64 // of what the model ended it with
	ended     atomic.Int64 // OnClose
	dropped   atomic.Bool  // what was under way may be lost: it was not closed in order
	cut       atomic.Bool  // the server ended it: for being slow, or by a timer
	tainted   atomic.Bool  // OnGap could not send
}

func newFanPeer(slow bool) *fanPeer {
	p := &fanPeer{slow: slow, gaps: make(map[string]int)}
	p.closeCall.Store(never)
	p.ended.Store(never)
	return p
}

func (p *fanPeer) receive(t *testing.T, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text == "end" {
		p.ends++
		return
	}
	var g fanGot
	if _, err := fmt.Sscan(text, &g.kind, &g.worker, &g.number, &g.topic); err != nil {
		t.Errorf("%s received %.40q: %v", p.name, text, err)
	}
	if body := strings.SplitN(text, " ", 5)[4]; body[:len(body)/2] != body[len(body)/2:] {
		t.Errorf("%s received %.80q, whose halves differ", p.name, text)
	}
	p.got = append(p.got, g)
}

// onGap notes a gap and sends it, so that it has its place among the messages.
func (p *fanPeer) onGap(ws *engine.WebSocket, topic string, dropped uint64) {
	p.mu.Lock()
	p.gaps[topic] += int(dropped)
	p.mu.Unlock()
	if ws.SendText(fmt.Sprintf("G 0 %d %s ", dropped, topic)) != nil {
		p.tainted.Store(true)
	}
}

// dialFast makes the client's side of p one of this engine.
func (p *fanPeer) dialFast(t *testing.T, addr string, compression *engine.Compression) {
	client := dialEngine(t, addr, &engine.DialOptions{
		Compression: compression,
		Callbacks:   engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) { p.receive(t, string(text)) }},
	})
	p.drop, p.done = client.CloseNow, client.Done()
	p.leave = func() {
		p.dropped.Store(true) // it receives nothing after that
		_ = client.Close(engine.StatusNormalClosure, "")
	}
}

// dialSlow makes the client's side of p one that takes little at once, and nothing
// while its gate is shut.
func (p *fanPeer) dialSlow(t *testing.T, addr, offer string) {
	c := newDeflateClient(openNarrow(t, addr, offering(offer)))
	_ = c.SetDeadline(time.Time{}) // nothing may come for longer than patience
	c.br.Reset(c.Conn)
	done := make(chan struct{})
	p.drop, p.done, p.gate = func() { _ = c.Close() }, done, make(chan bool, 1)
	p.leave = func() { _, _ = c.Write([]byte(testkit.Masked(codec.Close, "\x03\xe8"))) }
	go func() {
		defer close(done)
		defer c.Close()
		for p.readOne(t, c) {
		}
	}()
}

// readOne waits for the gate and reads a frame. It says whether more may follow.
func (p *fanPeer) readOne(t *testing.T, c *deflateClient) bool {
	select {
	case open := <-p.gate:
		for !open {
			open = <-p.gate
		}
	default:
	}
	h, payload, err := c.readMessage()
	switch {
	case errors.As(err, new(*engine.ProtocolError)):
		t.Errorf("%s cannot inflate: %v", p.name, err)
		return false
	case err != nil:
		return false
	case h.OpCode == codec.Ping:
		_, _ = c.Write([]byte(testkit.Masked(codec.Pong, string(payload))))
	case h.OpCode == codec.Close:
		_, _ = c.Write([]byte(testkit.Masked(codec.Close, string(payload)))) // a second one, if it left first
		_, _, _ = c.readFrame()                                              // the server ends first
		return false
	default:
		p.receive(t, string(payload))
	}
	return true
}

// open sets the gate of a slow reader to open or shut.
func (p *fanPeer) open(open bool) {
	if !p.slow {
		return
	}
	for {
		select {
		case p.gate <- open:
			return
		case <-p.gate: // replaced
		case <-p.done:
			return
		}
	}
}

// begin notes a subscription that begins, unless there is one.
func (p *fanPeer) begin(span fanSpan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spans = append(p.spans, span)
}

// subscribed says whether p has subscribed to topic.
func (p *fanPeer) subscribed(topic string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.spans {
		if s.topic == topic && s.endRet == never {
			return true
		}
	}
	return false
}

// end notes the end of a subscription.
func (p *fanPeer) end(topic string, call, ret int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.spans {
		if s := &p.spans[i]; s.topic == topic && s.endRet == never {
			s.endCall, s.endRet = call, ret
		}
	}
}
