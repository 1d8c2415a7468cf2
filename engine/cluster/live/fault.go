package live

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// A callback may panic or call runtime.Goexit, which nothing can stop. What follows is
// therefore done by deferred functions, and whoever called returns at once.

// connCall is a call of a callback that is about one connection.
type connCall struct {
	fn  func()
	end chan bool // whether fn returned
}

// call calls fn, and reports whether it returned. If not, the engine fails the connection
// with 1011.
func call(ws *engine.WebSocket, fn func()) (returned bool) {
	c := &connCall{fn, make(chan bool, 1)}
	ws.Go(c.run)
	return <-c.end
}

func (c *connCall) run() {
	returned := false
	defer func() { c.end <- returned }()
	c.fn()
	returned = true
}

// encode encodes a new message. If the encoder does not return, the pump goes on behind
// the message, later.
func (p *pump) encode(m *cluster.Message) (frame engine.Message, returned bool) {
	t := p.topic.topics
	defer func() {
		if !returned {
			err := notReturned(recover())
			p.omit(m.Position())
			t.report(err, "the message is left out")
		}
	}()
	t.encoded.Add(1)
	return t.config.Encoder.Message(m), true
}

// isNothing reports whether an encoder has nothing to send.
func isNothing(m *engine.Message) bool { return m.Prepared == nil && m.Op == 0 }

// encodeReset encodes the page for all that are live. If the encoder does not return, their
// connections end.
func (p *pump) encodeReset(at cluster.Position) (frame engine.Message, returned bool) {
	t := p.topic.topics
	defer func() {
		if !returned {
			err := notReturned(recover())
			t.failAll(p.topic, err)
			p.omit(at)
			t.report(err, "the connections of the topic are closed with 1011")
		}
	}()
	return t.config.Encoder.Page(&Page{Topic: p.topic.name, Position: at, Reset: true}), true
}

// encode encodes a page. If the encoder does not return, s goes on behind its messages with
// a page that is a reset; where there are none, its connection ends.
func (s *subscriber) encode(page *Page) (frame engine.Message, returned bool) {
	t := s.topic.topics
	defer func() {
		switch {
		case returned:
		case len(page.Messages) > 0:
			err := notReturned(recover())
			s.omit(page.Position)
			t.report(err, "the page is left out")
		default:
			err := notReturned(recover())
			t.fail(s, err)
			t.report(err, "the connection is closed with 1011")
		}
	}()
	return t.config.Encoder.Page(page), true
}

// omit has the pump go on behind a position, with a reset.
func (p *pump) omit(at cluster.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == ended {
		return
	}
	if p.sub != nil {
		p.sub.Close()
	}
	p.sub, p.from, p.omitted = nil, at, true
	p.phase, p.again = queued, false
	p.topic.topics.fast.push(p)
}

// omit has s go on behind a position, with a reset.
func (s *subscriber) omit(at cluster.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == ended {
		return
	}
	s.catching.at, s.catching.lost = at, true
	s.phase, s.again = queued, false
	s.topic.topics.fast.push(s)
}

// fail ends a subscription and its connection.
func (t *Topics) fail(s *subscriber, err error) {
	t.drop(s)
	_ = s.ws.Fail(engine.StatusInternalError, "internal error", err) // a code that may be sent
}

// drop ends a subscription whose connection ends.
func (t *Topics) drop(s *subscriber) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(s)
}

// failAll ends all subscriptions to a topic, and their connections.
func (t *Topics) failAll(top *topic, err error) {
	t.mu.Lock()
	var all []*subscriber
	for _, s := range t.subs {
		for ; s != nil; s = s.next {
			if s.topic == top {
				all = append(all, s)
			}
		}
	}
	t.mu.Unlock()
	for _, s := range all {
		t.fail(s, err)
	}
}

// notReturned is how a callback ended; v is what recover returned.
func notReturned(v any) *engine.PanicError {
	return &engine.PanicError{Value: v, Stack: debug.Stack()}
}

// panics counts encoders that did not return. One a second is in the log.
type panics struct {
	count  atomic.Uint64
	logged atomic.Int64 // when, in nanoseconds
}

// pass reports whether one may be logged now.
func (p *panics) pass() bool {
	p.count.Add(1)
	now, last := time.Now().UnixNano(), p.logged.Load()
	return now-last >= int64(time.Second) && p.logged.CompareAndSwap(last, now)
}

// report counts and logs an encoder that did not return.
func (t *Topics) report(err *engine.PanicError, follows string) {
	if !t.panics.pass() {
		return
	}
	defer func() { _ = recover() }() // of a Logger
	log := t.server.Logger
	if log == nil {
		log = slog.Default()
	}
	msg := "live: an Encoder panicked; "
	if err.Value == nil {
		msg = "live: an Encoder called runtime.Goexit; "
	}
	log.LogAttrs(context.Background(), slog.LevelError, msg+follows, slog.Any("panic", err.Value), slog.String("stack", string(err.Stack)))
}
