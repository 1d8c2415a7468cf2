package pull

import (
	"context"
	"errors"

	"github.com/fanloop-go/fanloop/engine"
)

// Write sends p as one message, Text or Binary. While the queue of the connection is
// full (Limits.MaxQueued), or a Writer is open, it waits. nil: the message was given
// to the kernel or queued. Any error means that nothing of it was sent: the cause of
// ctx, or engine.ErrClosed, which after the end of the connection is joined with the
// reason. p is yours again when Write returns.
func (c *Conn) Write(ctx context.Context, op engine.OpCode, p []byte) error {
	if err := c.takeTurn(ctx); err != nil {
		return err
	}
	defer c.giveTurn()
	return c.sendWaiting(ctx, func() error { return c.ws.Send(op, p) })
}

// sendWaiting calls send until there is room. For the writer whose turn it is.
func (c *Conn) sendWaiting(ctx context.Context, send func() error) error {
	for {
		if end := c.ended(); end != nil {
			return closedError(end)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		room := c.sleepsForRoom()
		err := send()
		if !errors.Is(err, engine.ErrBackpressure) {
			return err
		}
		if err := c.wait(ctx, room); err != nil {
			return err
		}
	}
}

// sleepsForRoom returns a channel that is closed when there may be room. It is asked
// for before the queue is found full, or the room could come unseen.
func (c *Conn) sleepsForRoom() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room
}

// wakeWriter wakes the writer that waits for room.
func (c *Conn) wakeWriter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// onDrain is OnDrain. On the loop.
func (c *Conn) onDrain(*engine.WebSocket) { c.wakeWriter() }
