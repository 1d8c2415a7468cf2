package pull

import (
	"context"
	"errors"

	"github.com/fanloop-go/fanloop/engine"
)

// Serve makes an OnUpgrade that runs handler on a goroutine of its own for each
// connection. ctx is done when the connection has ended, see [Conn.Context].
//
// When handler returns, the connection is closed, if it is not yet, with the code of
// its error: 1000 for nil, that of a *engine.CloseError or *engine.ProtocolError, and
// 1011 for any other. The peer does not see the text of that one: Server.Logger gets it,
// at most one line a second, unless the connection ended before handler returned. All
// but nil and *engine.CloseError count as faults, as by [engine.WebSocket.Fail]: OnError
// is called. A panic is logged, closes its connection with 1011 and affects no other.
// Shutdown of the server closes the connections and waits until the handlers have
// returned.
//
// The Conn replaces callbacks of the server or endpoint, see [New]: OnText, OnBinary,
// OnMessage, OnFragment, OnPong, OnDrain and OnClose of its Callbacks are not called for
// these connections. Clean up by defer in handler.
func Serve(handler func(ctx context.Context, c *Conn, req *engine.Request) error) func(*engine.WebSocket, *engine.Request) {
	failed := new(failures)
	return func(ws *engine.WebSocket, req *engine.Request) {
		c := New(ws)
		ws.Go(func() {
			c.endWith(handler(c.ctx, c, req), failed)
		})
	}
}

// endWith closes the connection of a handler that returned err.
func (c *Conn) endWith(err error, failed *failures) {
	var closed *engine.CloseError
	var broken *engine.ProtocolError
	switch {
	case err == nil:
		_ = c.beginClose(engine.StatusNormalClosure, "")
	case errors.As(err, &closed) && c.beginClose(closed.Code, closed.Reason) == nil:
	case errors.As(err, &broken) && c.ws.Fail(broken.Code, broken.Reason, err) == nil:
	default: // or a code that may not be sent
		if !c.over() {
			failed.log(c.ws, err)
		}
		_ = c.ws.Fail(engine.StatusInternalError, "internal error", err)
	}
	c.wakeWriter() // which finds it closing
}

// Dial opens a WebSocket as [engine.Dial] does, and returns it as a Conn. opt may be
// nil; its OnUpgrade is called after the Conn was made. Close the Conn, or it and its
// loop stay.
func Dial(ctx context.Context, rawURL string, opt *engine.DialOptions) (*Conn, error) {
	var own engine.DialOptions
	if opt != nil {
		own = *opt
	}
	var c *Conn // OnUpgrade is called once at most, before Dial returns
	user := own.OnUpgrade
	own.OnUpgrade = func(ws *engine.WebSocket) {
		c = New(ws)
		if user != nil {
			user(ws)
		}
	}
	if _, err := engine.Dial(ctx, rawURL, &own); err != nil {
		return nil, err
	}
	return c, nil
}
