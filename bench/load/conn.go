package load

import (
	"fmt"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// conn is one client connection. All of it is owned by its loop.
type conn struct {
	loop.Conn
	gen     *Generator
	worker  *worker // from OnOpen on
	id      uint32
	place   int      // in worker.conns; -1: not there
	opening *opening // nil once open
	began   int64    // when it was asked for
	reader  codec.Reader
	window  *codec.Window // of what the server sends; nil without context takeover

	greeting int  // messages of the server's greeting that are still to come
	leaving  bool // closed on purpose
	silent   bool // does not read any more

	sent uint32 // own messages
	back order  // those that came back
	from []order
	one  [1]order // what from is with one publisher
}

// opening is the opening handshake of a connection, while it lasts.
type opening struct {
	request handshake.ClientRequest
	scanner handshake.Scanner
	head    []byte
}

func (g *Generator) newConn(id uint32) *conn {
	c := &conn{gen: g, id: id, place: -1, began: now(), greeting: g.cfg.Greeting, opening: &opening{request: handshake.ClientRequest{
		Host:       g.target.host,
		RequestURI: g.uris[int(id)%len(g.uris)],
		Key:        handshake.NewKey(),
		Extensions: offers[g.cfg.Compression],
	}}}
	c.reader.Init(&g.reader)
	if g.cfg.Mode == Fanout {
		c.from = c.one[:]
		if g.cfg.Publishers > 1 {
			c.from = make([]order, g.cfg.Publishers)
		}
	}
	return c
}

// sharesTopic says whether c gets what publisher from sends.
func (c *conn) sharesTopic(from uint32) bool {
	topics := uint32(c.gen.cfg.Topics)
	return topics == 1 || from%topics == c.id%topics
}

// LoopConn implements loop.Handler.
func (c *conn) LoopConn() *loop.Conn { return &c.Conn }

// OnOpen implements loop.Handler.
func (c *conn) OnOpen() {
	c.worker = c.gen.workers[c.Loop().Index()]
	c.SetTimer(c.gen.cfg.Deadline)
	if !c.gen.target.tls {
		c.ask()
		return
	}
	c.StartTLSClient(secure, nil, func() {
		if err := c.secured(); err != nil {
			c.refuse(err)
			return
		}
		c.ask()
	})
}

// ask sends the request of the opening handshake.
func (c *conn) ask() {
	request, err := handshake.AppendClientRequest(nil, &c.opening.request)
	if err != nil {
		c.gen.fail(fmt.Errorf("the target cannot be asked for: %w", err))
		return
	}
	_ = c.Write(request, nil) // ended: OnClose follows
}

// OnData implements loop.Handler.
func (c *conn) OnData(b []byte) {
	if c.opening != nil {
		c.answered(b)
		return
	}
	c.receive(b, now())
}

// answered reads the answer to the opening handshake (RFC 6455 section 4.1).
func (c *conn) answered(b []byte) {
	o := c.opening
	o.head = append(o.head, b...)
	n, err := o.scanner.Scan(o.head, handshake.Limits{})
	if err != nil {
		c.refuse(fmt.Errorf("the server does not speak HTTP: %w", err))
		return
	}
	if n == 0 {
		return
	}
	response, err := handshake.ParseResponse(o.head[:n])
	var agreed handshake.Agreed
	if err == nil {
		agreed, err = response.Check(&o.request)
	}
	if err != nil {
		c.refuse(explainRefusal(err))
		return
	}
	if err := c.agree(&agreed); err != nil {
		c.refuse(err)
		return
	}
	c.opening = nil
	c.SetTimer(0)
	c.gen.opened(c)
	c.receive(o.head[n:], now())
}

func (c *conn) refuse(err error) {
	c.leaving = true
	c.Close(loop.CloseReset)
	c.gen.refused(c, err)
}

// receive reads what arrived, event by event.
func (c *conn) receive(b []byte, at int64) {
	for {
		ev, ok, n, err := c.reader.Next(b)
		if err != nil {
			c.worker.faults.Corrupt++
			c.worker.faults.note("connection %d: %v", c.id, err)
			c.gen.fail(fmt.Errorf("the server broke the protocol on connection %d: %w", c.id, err))
			c.leaving = true
			c.Close(loop.CloseReset)
			return
		}
		if !ok || c.leaving {
			return
		}
		b = b[n:]
		switch ev.OpCode {
		case codec.Text, codec.Binary:
			c.worker.message(c, ev, at)
		case codec.Ping: // §5.5.3
			_ = c.Write(codec.AppendMaskedFrame(nil, codec.Pong, true, ev.Payload), nil) // ended: OnClose follows
		case codec.Close:
			code, reason, _ := codec.ParseClosePayload(ev.Payload) // the empty one is not worth a line of its own
			c.lost(fmt.Errorf("close frame %d %q", code, reason))
			c.leaving = true
			c.Close(loop.CloseReset)
			return
		}
	}
}

// send stamps and sends one message that was to leave at at.
func (c *conn) send(kind byte, at int64) {
	w := c.worker
	frame := w.templates.stamped(stamp{kind: kind, from: c.id, seq: c.sent, at: at})
	c.sent++
	w.tally.Sent++
	_ = c.Write(frame, nil) // ended: OnClose follows
}

// lost is told when the server ends a connection that was to stay.
func (c *conn) lost(err error) {
	switch {
	case c.leaving:
	case c.opening != nil:
		c.gen.refused(c, explainDial(c.gen, err))
	case c.silent:
		c.gen.dropped.Add(1)
	default:
		c.gen.fail(explainLoss(c, err))
	}
}

// OnEOF implements loop.Handler.
func (c *conn) OnEOF() {
	c.lost(errHungUp)
	c.leaving = true
	c.Close(loop.CloseNow)
}

// OnNotify implements loop.Handler.
func (c *conn) OnNotify() {}

// OnTimer implements loop.Handler.
func (c *conn) OnTimer() {
	if c.opening != nil {
		c.refuse(fmt.Errorf("the server did not answer the opening handshake within %v; is it overloaded, or no HTTP server?", c.gen.cfg.Deadline))
	}
}

// OnDrain implements loop.Handler.
func (c *conn) OnDrain() {}

// OnClose implements loop.Handler.
func (c *conn) OnClose(err error) {
	c.reader.Reset()
	g := c.gen
	switch {
	case c.opening != nil && !c.leaving:
		g.refused(c, explainDial(g, err))
		return
	case c.opening == nil && c.worker != nil:
		c.worker.remove(c)
		c.lost(err)
	}
	g.closed(c)
}
