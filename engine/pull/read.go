package pull

import (
	"bytes"
	"context"
	"iter"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// Message is one message of the peer.
type Message struct {
	Op   engine.OpCode // Text or Binary
	Data []byte        // yours; text is valid UTF-8
}

// Read waits for the next message and returns it. The bytes are yours: each message
// costs one allocation of its size. When ctx is done, Read returns the cause of that;
// the connection stays open and nothing is lost, not even a message of which a part
// has come. At the end of the connection it returns why, see the package comment.
//
// A message over Limits.MaxMessage fails the connection with 1009, one of which less
// than 1 KiB comes in Limits.ReadTimeout while Read waits for it, with 1008.
func (c *Conn) Read(ctx context.Context) (engine.OpCode, []byte, error) {
	if err := c.beginRead(); err != nil {
		return 0, nil, err
	}
	defer c.endRead()
	if err := c.skip(ctx); err != nil {
		return 0, nil, err
	}
	p, err := c.take(ctx, nil)
	if err != nil {
		return 0, nil, err
	}
	if p, err = c.assemble(ctx, p); err != nil {
		return 0, nil, err
	}
	return p.op, p.data, nil
}

// Messages returns the messages of the peer, as Read does. An error is the last thing
// it yields, with a zero Message. After a closing handshake with 1000, 1001 or without
// a code, it ends without one.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			op, data, err := c.Read(ctx)
			if err != nil {
				if !orderly(err) {
					yield(Message{}, err)
				}
				return
			}
			if !yield(Message{op, data}, nil) {
				return
			}
		}
	}
}

// beginRead makes the caller the reader, until endRead.
func (c *Conn) beginRead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading {
		return ErrConcurrentRead
	}
	c.reading = true
	return nil
}

func (c *Conn) endRead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
}

// onPiece is OnFragment: p is borrowed. On the loop, or a worker of Dispatch.
func (c *Conn) onPiece(_ *engine.WebSocket, op engine.OpCode, p []byte, fin bool) {
	own := bytes.Clone(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return // failed: it is never read
	}
	c.inbox.push(piece{data: own, op: op, fin: fin})
	c.pauseLocked()
	c.holdLocked()
	c.wakeReaderLocked()
}

// holdLocked counts what waits in the ledger of the server, in steps: small messages that
// do not wait long cost nothing.
func (c *Conn) holdLocked() {
	more := c.inbox.size - c.held
	if more >= holdStep || more <= -holdStep || c.inbox.empty() && more != 0 {
		c.held += more
		c.ws.Hold(more)
	}
}

func (c *Conn) pauseLocked() {
	if !c.paused && c.inbox.size >= MaxWaiting {
		c.paused = true
		c.ws.PauseReading()
	}
}

func (c *Conn) resumeLocked() {
	if c.paused && c.inbox.size <= MaxWaiting/2 {
		c.paused = false
		c.ws.ResumeReading()
	}
}

func (c *Conn) wakeReaderLocked() {
	if !c.waiting {
		return
	}
	c.waiting = false
	select {
	case c.arrived <- struct{}{}:
	default: // the one before is not seen yet
	}
}

// take waits for the next piece and takes it. expired ends the wait with
// errExpired; nil never does. For the reader.
func (c *Conn) take(ctx context.Context, expired <-chan time.Time) (piece, error) {
	for {
		p, ok, err := c.takeNow(ctx)
		if ok || err != nil {
			return p, err
		}
		select {
		case <-c.arrived:
		case <-ctx.Done():
		case <-expired:
			return piece{}, errExpired
		}
	}
}

// takeNow takes the next piece if there is one. Otherwise the reader has to wait for
// arrived, unless there is an error.
func (c *Conn) takeNow(ctx context.Context) (p piece, ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil && ctx.Err() != nil {
		return piece{}, false, context.Cause(ctx)
	}
	if c.inbox.empty() {
		c.waiting = c.end == nil
		return piece{}, false, c.end
	}
	p = c.inbox.pop()
	c.inside = !p.fin
	c.holdLocked()
	c.resumeLocked()
	return p, true, nil
}

// skip drops what is left of a message that a Reader has begun.
func (c *Conn) skip(ctx context.Context) error {
	for c.isInside() {
		if _, err := c.take(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) isInside() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inside
}

// putBack makes p the next piece, with which a message begins, unless its end cannot
// come any more.
func (c *Conn) putBack(p piece) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil && c.inbox.empty() {
		return
	}
	c.inbox.unpop(p)
	c.inside = false
	c.holdLocked()
	c.pauseLocked()
}
