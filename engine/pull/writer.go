package pull

import (
	"context"

	"github.com/fanloop-go/fanloop/engine"
)

// fragmentSize is how many small writes a Writer collects into one frame.
const fragmentSize = 4 << 10

// Writer writes one message piece by piece: what is written is collected up to 4 KiB
// and then sent as a fragment. One goroutine at a time may use it.
type Writer struct {
	c      *Conn
	ctx    context.Context
	op     engine.OpCode
	buf    []byte // not sent yet
	begun  bool   // a fragment was sent
	closed bool
	err    error // the first error; the message cannot be finished
}

// Writer returns a Writer of one message of kind op. It waits while another Writer is
// open. Other writes wait until Close of the Writer, so call it; pings do not wait.
// Writes wait for room with ctx.
func (c *Conn) Writer(ctx context.Context, op engine.OpCode) (*Writer, error) {
	if !op.IsData() {
		return nil, engine.ErrNotData
	}
	if err := c.takeTurn(ctx); err != nil {
		return nil, err
	}
	return &Writer{c: c, ctx: ctx, op: op}, nil
}

// Write adds p to the message. After an error the message cannot be finished: call
// Close.
func (w *Writer) Write(p []byte) (int, error) {
	switch {
	case w.closed:
		return 0, ErrWriterClosed
	case w.err != nil:
		return 0, w.err
	case len(w.buf)+len(p) <= fragmentSize:
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if len(w.buf) > 0 {
		w.send(w.buf, false)
		w.buf = w.buf[:0]
	}
	w.send(p, false)
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Close sends the rest of the message and lets others write. A message that was never
// sent in parts leaves as by [Conn.Write]. If a Write failed, nothing more is sent:
// Close returns its error, and if a part of the message was sent before, it closes the
// connection with 1011, since the peer waits for the rest.
func (w *Writer) Close() error {
	if w.closed {
		return ErrWriterClosed
	}
	w.closed = true
	defer w.c.giveTurn()
	if w.begun {
		w.send(w.buf, true)
	} else if w.err == nil {
		w.err = w.c.sendWaiting(w.ctx, func() error { return w.c.ws.Send(w.op, w.buf) })
	}
	if w.err != nil && w.begun {
		_ = w.c.beginClose(engine.StatusInternalError, "message not finished") // a code that may be sent
	}
	return w.err
}

// send sends p as a fragment.
func (w *Writer) send(p []byte, fin bool) {
	if w.err != nil {
		return
	}
	w.err = w.c.sendWaiting(w.ctx, func() error { return w.c.ws.SendFragment(w.op, p, fin) })
	w.begun = w.begun || w.err == nil
}
