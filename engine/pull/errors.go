package pull

import (
	"errors"
	"fmt"

	"github.com/fanloop-go/fanloop/engine"
)

var (
	// ErrConcurrentRead is returned by a read while another goroutine reads from the
	// same Conn. Nothing was read. Read on one goroutine at a time.
	ErrConcurrentRead = errors.New("pull: another goroutine reads from this connection; read on one at a time")
	// ErrStaleReader is returned by a Reader after the next message was read or its Reader
	// was requested: the rest of its own was dropped.
	ErrStaleReader = errors.New("pull: this Reader's message is over; use the one that was returned last")
	// ErrWriterClosed is returned by Write of a Writer after its Close.
	ErrWriterClosed = errors.New("pull: this Writer is closed; ask the connection for another one")
)

// errTooBig is what Read fails the connection with.
var errTooBig = &engine.ProtocolError{
	Code:   engine.StatusMessageTooBig,
	Reason: "message is over Limits.MaxMessage; take it with Reader",
}

// closedError is the error of a write after the end, which was for cause if it is
// known.
func closedError(cause error) error {
	if cause == nil || errors.Is(cause, engine.ErrClosed) {
		return engine.ErrClosed
	}
	return fmt.Errorf("%w: %w", engine.ErrClosed, cause)
}

// orderly reports whether the peer ended the connection because it was done.
func orderly(err error) bool {
	var closed *engine.CloseError
	if !errors.As(err, &closed) {
		return false
	}
	switch closed.Code {
	case engine.StatusNormalClosure, engine.StatusGoingAway, engine.StatusNoStatusRcvd:
		return true
	}
	return false
}
