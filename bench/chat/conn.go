package chat

import (
	"errors"
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// conn is one connection of a user. Owned by its loop.
type conn struct {
	loop.Conn
	user    *user
	opening *opening // nil once the opening handshake is over
	reader  codec.Reader

	back    bool          // the user has been connected before
	leaving bool          // the plan cut it
	away    time.Duration // until the user reconnects, after a cut
}

// opening is the state of the opening handshake.
type opening struct {
	request handshake.ClientRequest
	scanner handshake.Scanner
	head    []byte
}

var errHungUp = errors.New("the service ended the connection")

func newConn(u *user) *conn {
	c := &conn{user: u, back: u.session != "", opening: &opening{request: handshake.ClientRequest{
		Host: u.crowd.host, RequestURI: u.crowd.uri, Key: handshake.NewKey(),
		Subprotocols: []string{u.crowd.encoding.Subprotocol()},
	}}}
	c.reader.Init(&u.crowd.reader)
	return c
}

// LoopConn implements loop.Handler.
func (c *conn) LoopConn() *loop.Conn { return &c.Conn }

// OnOpen implements loop.Handler.
func (c *conn) OnOpen() {
	c.SetTimer(c.user.crowd.config.Deadline)
	request, err := handshake.AppendClientRequest(nil, &c.opening.request)
	if err != nil {
		c.user.crowd.fail(fmt.Errorf("the service cannot be asked for: %w", err))
		return
	}
	_ = c.Write(request, nil) // an error means that OnClose follows
}

// OnData implements loop.Handler.
func (c *conn) OnData(b []byte) {
	if c.opening != nil {
		c.answered(b)
		return
	}
	c.receive(b)
}

// answered reads the answer to the opening handshake (RFC 6455 section 4.1).
func (c *conn) answered(b []byte) {
	o := c.opening
	o.head = append(o.head, b...)
	n, err := o.scanner.Scan(o.head, handshake.Limits{})
	if n == 0 && err == nil {
		return
	}
	var response *handshake.Response
	if err == nil {
		response, err = handshake.ParseResponse(o.head[:n])
	}
	if err == nil {
		_, err = response.Check(&o.request)
	}
	if err != nil {
		c.user.crowd.fail(fmt.Errorf("the service opens no WebSocket; is the URL that of /v1/socket? %w", err))
		return
	}
	c.opening = nil
	c.SetTimer(0)
	c.user.conn = c
	c.user.hello()
	c.receive(o.head[n:])
}

// receive reads frames, and handles each message.
func (c *conn) receive(b []byte) {
	at := c.user.crowd.now()
	for {
		ev, ok, n, err := c.reader.Next(b)
		if err != nil {
			c.user.crowd.fail(fmt.Errorf("the service broke RFC 6455 to user %d: %w", c.user.n, err))
			return
		}
		if !ok || c.leaving {
			return
		}
		b = b[n:]
		switch ev.OpCode {
		case codec.Text, codec.Binary:
			c.user.receive(ev.Payload, at)
		case codec.Ping: // §5.5.3
			_ = c.Write(codec.AppendMaskedFrame(nil, codec.Pong, true, ev.Payload), nil) // an error means that OnClose follows
		case codec.Close:
			code, reason, _ := codec.ParseClosePayload(ev.Payload) // code 0 if the payload is invalid
			c.user.reason = fmt.Sprintf("%d %s %s", code, c.user.reason, reason)
			c.Close(loop.CloseReset)
			c.user.left(c, errHungUp)
			return
		}
	}
}

// OnEOF implements loop.Handler.
func (c *conn) OnEOF() {
	c.Close(loop.CloseNow)
	c.user.left(c, errHungUp)
}

// OnNotify implements loop.Handler.
func (c *conn) OnNotify() {}

// OnTimer implements loop.Handler.
func (c *conn) OnTimer() {
	if c.opening != nil {
		c.user.crowd.fail(fmt.Errorf("the service did not answer an opening handshake within %v; is it overloaded, or no HTTP server?", c.user.crowd.config.Deadline))
	}
}

// OnDrain implements loop.Handler.
func (c *conn) OnDrain() {}

// OnClose implements loop.Handler.
func (c *conn) OnClose(err error) {
	c.reader.Reset()
	if c.opening != nil {
		c.user.crowd.unopened(c.user, err)
		return
	}
	c.user.left(c, err)
}
