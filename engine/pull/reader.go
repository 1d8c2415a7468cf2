package pull

import (
	"context"
	"fmt"
	"io"

	"github.com/fanloop-go/fanloop/engine"
)

// Reader reads one message as it arrives, so it may be larger than memory. One
// goroutine at a time may use it, and no other method of the Conn that reads.
type Reader struct {
	c       *Conn
	ctx     context.Context
	op      engine.OpCode
	message uint64 // of c
	rest    []byte // of the piece taken last
	fin     bool   // that piece is the last
}

// Reader waits for the next message and returns a Reader of it. What is left of the
// message before is dropped. The bytes of the message are read with ctx, see
// [Reader.ReadContext] for another one. Limits.MaxMessage and ReadTimeout do not
// bound it, since nothing is kept; a compressed message is bounded by MaxMessage.
func (c *Conn) Reader(ctx context.Context) (*Reader, error) {
	if err := c.beginRead(); err != nil {
		return nil, err
	}
	defer c.endRead()
	if err := c.skip(ctx); err != nil {
		return nil, err
	}
	p, err := c.take(ctx, nil)
	if err != nil {
		return nil, err
	}
	c.message++ // only the reader does
	return &Reader{c: c, ctx: ctx, op: p.op, message: c.message, rest: p.data, fin: p.fin}, nil
}

// Op returns whether the message is Text or Binary. A read of text may end inside a
// rune.
func (r *Reader) Op() engine.OpCode { return r.op }

// Read reads the next bytes of the message. It returns io.EOF at its end,
// io.ErrUnexpectedEOF with the reason of the end if the connection ended inside of
// it, and the cause of its context when that is done: then ReadContext may go on.
func (r *Reader) Read(p []byte) (int, error) { return r.ReadContext(r.ctx, p) }

// ReadContext is Read with another context.
func (r *Reader) ReadContext(ctx context.Context, p []byte) (int, error) {
	if err := r.c.beginRead(); err != nil {
		return 0, err
	}
	defer r.c.endRead()
	if r.message != r.c.message {
		return 0, ErrStaleReader
	}
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.rest) == 0 {
		if err := r.more(ctx); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// more takes the next piece of the message.
func (r *Reader) more(ctx context.Context) error {
	if r.fin {
		return io.EOF
	}
	if !r.c.isInside() { // Read has dropped the rest
		return ErrStaleReader
	}
	p, err := r.c.take(ctx, nil)
	if err != nil {
		if end := r.c.cause(); end != nil {
			return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, end)
		}
		return err
	}
	r.rest, r.fin = p.data, p.fin
	return nil
}
