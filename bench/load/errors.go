package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"syscall"

	"github.com/fanloop-go/fanloop/handshake"
)

var errHungUp = errors.New("it ended the connection")

// explainDial says what to do about a connection that could not be made.
func explainDial(g *Generator, err error) error {
	addr := g.addr
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &notTLS):
		return fmt.Errorf("%s does not speak TLS: start the server with it, or give a target of ws: %w", addr, err)
	case err == nil || errors.Is(err, errHungUp):
		return fmt.Errorf("%s ended the connection instead of answering the opening handshake: is it a WebSocket server?", addr)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: start the server, or correct the target: %w", addr, err)
	case errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%s reset the connection instead of answering the opening handshake: is it a WebSocket server with room for more connections? %w", addr, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("no local ports are left to connect to %s: use more source addresses: %w", addr, err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fmt.Errorf("no descriptors are left: raise the limit (ulimit -n), use more client processes or measure fewer servers at once: %w", err)
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("%s cannot be reached: check the address and the network: %w", addr, err)
	}
	return fmt.Errorf("connecting to %s failed: %w", addr, err)
}

// explainRefusal says what to do about an answer that opens no WebSocket.
func explainRefusal(err error) error {
	if status, ok := errors.AsType[*handshake.StatusError](err); ok {
		return fmt.Errorf("the server speaks HTTP but opens no WebSocket at this path: give the path of its WebSocket endpoint in the target: %w", status)
	}
	return fmt.Errorf("the server's answer to the opening handshake is wrong: %w", err)
}

// explainLoss says that a connection that was open is not any more.
func explainLoss(c *conn, err error) error {
	if err == nil {
		err = errHungUp
	}
	return fmt.Errorf("the server closed connection %d after %d messages; look at its log and limits: %w", c.id, c.worker.total+c.worker.tally.Messages, err)
}

// RateError says that the rate asked for was not reached.
type RateError struct {
	Asked, Sent, Answered float64 // messages a second
	ClientShare           float64 // of one CPU
	ServerShare           float64 // of one CPU; 0 if unknown
}

func (e *RateError) Error() string {
	return fmt.Sprintf("a rate of %.0f a second is out of reach: %.0f were sent and %.0f came back a second "+
		"(clients %.0f %% of a CPU, server %.0f %%); lower the rate, or give the busy side more CPUs",
		e.Asked, e.Sent, e.Answered, 100*e.ClientShare, 100*e.ServerShare)
}
