package engine

import (
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/wsurl"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// connect is the opening handshake on the client's side (RFC 6455 section 4.1).
type connect struct {
	opt      *DialOptions
	req      handshake.ClientRequest
	request  []byte
	received []byte     // what came with the transport
	result   chan error // gets one value

	asked atomic.Bool // the request was sent: a TLS handshake is over

	// Owned by the loop until result has its value.
	scanner handshake.ResponseScanner
	head    []byte
	resp    *handshake.Response // nil: no final one came
	err     error               // why the answer was no good
	refusal *StatusError        // whose body is being read; nil: none is
	body    handshake.ResponseBody
}

func (d *dialer) newConnect(t wsurl.Target) (*connect, error) {
	c := &connect{
		opt:    d.opt,
		result: make(chan error, 1),
		req: handshake.ClientRequest{
			Host:         t.Authority,
			RequestURI:   t.URL.RequestURI(),
			Key:          handshake.NewKey(),
			Origin:       d.opt.Origin,
			Subprotocols: d.opt.Subprotocols,
			Extensions:   d.settings.compressor.offer(),
			Header:       d.header(t),
		},
	}
	var err error
	c.request, err = handshake.AppendClientRequest(nil, &c.req)
	return c, err
}

func (c *connect) begin(ws *WebSocket) {
	c.asked.Store(true)
	_ = ws.conn.Write(c.request, nil) // gone: lost follows
	if len(c.received) > 0 {
		c.data(ws, c.received)
	}
}

func (c *connect) data(ws *WebSocket, b []byte) {
	if c.refusal != nil {
		c.readRefusal(ws, b)
		return
	}
	c.head = append(c.head, b...)
	resp, n, err := c.scanner.Scan(c.head, ws.settings().limits.head())
	if err != nil {
		c.refuse(ws, err)
		return
	}
	if resp == nil {
		return
	}
	c.resp = resp
	c.opt.callResponse(resp)
	agreed, err := c.resp.Check(&c.req)
	rest := c.head[n:]
	if refusal, ok := err.(*StatusError); ok && !c.opt.follows(refusal) {
		c.refusal, c.body, c.err = refusal, c.resp.Body(), refusal
		ws.arm(deadlineHandshake, refusalTimeout)
		c.readRefusal(ws, rest)
		return
	}
	if err != nil {
		c.refuse(ws, err)
		return
	}
	ws.settings().compressor.accept(ws, agreed.Deflate)
	ws.open(agreed.Subprotocol, func() {
		defer c.succeed() // even if OnUpgrade does not return
		c.opt.callUpgrade(ws)
	})
	ws.receive(rest)
}

// succeed ends Dial.
func (c *connect) succeed() { c.result <- nil }

func (c *connect) refuse(ws *WebSocket, err error) {
	c.err = err
	ws.conn.Close(loop.CloseNow)
}

// The beginning of a refusal's body that StatusError has, and how long the server may
// take to send it.
const (
	maxRefusal     = 1 << 10
	refusalTimeout = time.Second
)

// readRefusal reads the beginning of the body of an answer that is no 101.
func (c *connect) readRefusal(ws *WebSocket, b []byte) {
	var done bool
	c.refusal.Body, done = c.body.Append(c.refusal.Body, b, maxRefusal, ws.settings().limits.head())
	if done {
		ws.conn.Close(loop.CloseNow)
	}
}

// timeout ends the wait for the body of a refusal. Otherwise Dial itself keeps the time.
func (c *connect) timeout(ws *WebSocket) {
	if c.refusal != nil {
		ws.conn.Close(loop.CloseNow)
	}
}

func (c *connect) lost(ws *WebSocket, err error) {
	switch panicked := ws.Err(); {
	case c.err != nil:
		err = c.err
	case panicked != nil:
		err = panicked
	case err == nil:
		err = ErrAbnormalClosure
	}
	c.result <- err
}
