package engine

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"syscall"
)

// explain adds to the end of an opening handshake what it is likely to mean: the
// scheme of the URL is wrong, or the server expects a proxy in front of it. secure
// says that it was asked by TLS, and answer is what came of its answer.
func explain(err error, secure bool, answer []byte) error {
	switch {
	case err == nil:
		return nil
	case secure && isNotTLS(err):
		return fmt.Errorf("%w: %w", ErrNotTLS, err)
	case !secure && isTLSAlert(answer):
		return fmt.Errorf("%w: %w", ErrNeedsTLS, err)
	case len(answer) > 0 || !isEnd(err):
		return err
	case secure:
		return fmt.Errorf("%w: if it expects a PROXY header, dial the proxy in front of it: %w", ErrNoAnswer, err)
	}
	return fmt.Errorf("%w: if it speaks TLS, dial wss://, and if it expects a PROXY header, dial the proxy in front of it: %w", ErrNoAnswer, err)
}

// isNotTLS reports whether the server answered a ClientHello with something else
// than TLS.
func isNotTLS(err error) bool {
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

// isTLSAlert reports whether b begins with an alert (RFC 8446 section 5.1).
func isTLSAlert(b []byte) bool {
	const alert, major = 21, 3
	return len(b) >= 3 && b[0] == alert && b[1] == major && b[2] <= 4
}

// isEnd reports whether err is that the peer, or somebody between, ended the
// connection.
func isEnd(err error) bool {
	for _, end := range []error{ErrAbnormalClosure, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}
