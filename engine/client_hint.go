package engine

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	case !secure && (isTLSAlert(answer) || asksForTLS(err)):
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

// asksForTLS reports whether a server says that it got plain HTTP on a port for TLS, as
// net/http, nginx and Apache do.
func asksForTLS(err error) bool {
	answer, ok := errors.AsType[*StatusError](err)
	if !ok || answer.Status != http.StatusBadRequest {
		return false
	}
	for _, text := range []string{
		"sent an HTTP request to an HTTPS server",
		"plain HTTP request was sent to HTTPS port",
		"speaking plain HTTP to an SSL-enabled server port",
	} {
		if bytes.Contains(answer.Body, []byte(text)) {
			return true
		}
	}
	return false
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
