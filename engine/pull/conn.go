package pull

import (
	"context"
	"sync"

	"github.com/fanloop-go/fanloop/engine"
)

// Conn is a WebSocket that is read and written by goroutines. One goroutine at a time
// may read; all other methods may be called by any goroutine.
type Conn struct {
	// Immutable.
	ws      *engine.WebSocket
	ctx     context.Context
	cancel  context.CancelCauseFunc
	arrived chan struct{} // wakes the reader; holds one

	mu sync.Mutex

	// The reading side. Guarded by mu.
	inbox   inbox
	held    int    // bytes of it that Hold has counted
	paused  bool   // reading is paused until the inbox is half empty
	waiting bool   // the reader sleeps: send to arrived
	reading bool   // a goroutine reads
	inside  bool   // the front of the inbox goes on with a message whose begin was taken by a Reader
	message uint64 // counts those begun by Reader
	end     error  // why nothing follows the inbox; nil: more may come

	// The writing side. Guarded by mu.
	turn turn
	room chan struct{} // the writer whose turn it is sleeps until it is closed; nil: it does not

	pings pings // guarded by mu
}

// New makes a Conn that receives the messages of ws from now on. Call it in OnUpgrade, or
// elsewhere on the owning loop before the first message. Read on another goroutine, for
// example one that [engine.WebSocket.Go] starts.
//
// The Conn sets the callbacks OnFragment, OnPong, OnDrain and OnClose of ws, and calls
// PauseReading and ResumeReading: leave these to it. OnPing, OnGap, OnError, topics,
// and sends by ws itself, except SendFragment, can be used beside it.
func New(ws *engine.WebSocket) *Conn {
	c := &Conn{ws: ws, arrived: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	ws.OnFragment(c.onPiece)
	ws.OnPong(c.onPong)
	ws.OnDrain(c.onDrain)
	ws.OnClose(c.onClose)
	return c
}

// WebSocket returns the WebSocket below c, for topics, addresses and the like.
func (c *Conn) WebSocket() *engine.WebSocket { return c.ws }

// Context returns a context that is done when the connection has ended. Its cause is
// what a read returns then. Read with it rather than with that of the WebSocket, which
// is done a moment before a read returns the last messages whatever its context.
func (c *Conn) Context() context.Context { return c.ctx }

// onClose is the end of the connection. On the loop, or a worker of Dispatch.
func (c *Conn) onClose(ws *engine.WebSocket, code engine.StatusCode, reason string) {
	cause := ws.Err()
	if cause == nil {
		cause = &engine.CloseError{Code: code, Reason: reason}
	}
	c.cancel(c.finish(cause))
}

// finish notes why the connection ends, unless that is known, wakes the reader, and
// returns why.
func (c *Conn) finish(cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		c.end = cause
	}
	c.wakeReaderLocked()
	return c.end
}

// cause returns why the connection ends; nil if it does not. Reads know it a moment before
// the context is done.
func (c *Conn) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// ended returns why the connection ended; nil if it has not.
func (c *Conn) ended() error {
	select {
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	default:
		return nil
	}
}

// wait waits until woken is closed. The error is why it was given up: the end of
// the connection, or that of ctx.
func (c *Conn) wait(ctx context.Context, woken <-chan struct{}) error {
	select {
	case <-woken:
		return nil
	case <-c.ctx.Done():
	case <-ctx.Done():
	}
	if end := c.ended(); end != nil {
		return closedError(end)
	}
	return context.Cause(ctx)
}

// Close begins the closing handshake and waits until it is over: what was written
// before is sent, then the close frame, and what the peer sends is read and discarded
// until its answer comes. It returns nil then, or why the connection ended otherwise.
// When ctx is done it returns the cause of that, and the closing goes on: the peer has
// Limits.CloseTimeout to make progress. Closing twice is no error; the first code
// counts. ErrInvalidStatus if code may not be sent.
//
// Messages that came before can still be read.
func (c *Conn) Close(ctx context.Context, code engine.StatusCode, reason string) error {
	if err := c.beginClose(code, reason); err != nil {
		return err
	}
	select {
	case <-c.ctx.Done():
	case <-ctx.Done():
	}
	switch end := c.ended().(type) {
	case nil:
		return context.Cause(ctx)
	case *engine.CloseError:
		return nil
	default:
		return end
	}
}

// beginClose is Close that does not wait.
func (c *Conn) beginClose(code engine.StatusCode, reason string) error {
	if err := c.ws.Close(code, reason); err != nil {
		return err
	}
	c.wakeWriter() // which finds it closing
	return nil
}

// CloseNow drops the connection and its queue, without a close frame. Reads and writes that
// wait return engine.ErrClosed.
func (c *Conn) CloseNow() { c.ws.CloseNow() }

// fail fails the connection. Reads return err from now on.
func (c *Conn) fail(code engine.StatusCode, err error, reason string) {
	c.mu.Lock()
	if c.end == nil {
		c.inbox = inbox{}
		c.holdLocked()
		c.end = err
	}
	c.mu.Unlock()
	_ = c.ws.Fail(code, reason, err) // a code that may be sent
	c.wakeWriter()                   // which finds it closing
}
