package pull

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/fanloop-go/fanloop/engine"
)

// pings are those that wait for their pongs. Guarded by the mutex of its Conn.
type pings struct {
	sent    uint64 // the number of the last one
	waiting []ping // in order
}

type ping struct {
	number uint64
	pong   chan struct{} // closed by its pong
}

// pingMark begins the payload of a ping of this package; its number follows.
const pingMark = "pull"

// Ping sends a ping and waits for its pong, or that of a later ping. It returns the
// cause of ctx when that is done, and engine.ErrClosed at the end of the connection.
// The pong is seen without a reader, but not while reading is paused because
// MaxWaiting bytes wait for one.
func (c *Conn) Ping(ctx context.Context) error {
	p := c.nextPing()
	defer c.forgetPing(p)
	payload := binary.BigEndian.AppendUint64([]byte(pingMark), p.number)
	if err := c.ws.Ping(payload); err != nil {
		if end := c.ended(); end != nil {
			return closedError(end)
		}
		return err
	}
	return c.wait(ctx, p.pong)
}

func (c *Conn) nextPing() ping {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pings.sent++
	p := ping{c.pings.sent, make(chan struct{})}
	c.pings.waiting = append(c.pings.waiting, p)
	return p
}

func (c *Conn) forgetPing(p ping) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pings.waiting = slices.DeleteFunc(c.pings.waiting, func(q ping) bool { return q == p })
}

// onPong is OnPong. A peer may answer the last of several pings only (RFC 6455
// section 5.5.3). On the loop.
func (c *Conn) onPong(_ *engine.WebSocket, payload []byte) {
	if len(payload) != len(pingMark)+8 || string(payload[:len(pingMark)]) != pingMark {
		return
	}
	number := binary.BigEndian.Uint64(payload[len(pingMark):])
	c.mu.Lock()
	defer c.mu.Unlock()
	if number > c.pings.sent {
		return
	}
	for len(c.pings.waiting) > 0 && c.pings.waiting[0].number <= number {
		close(c.pings.waiting[0].pong)
		c.pings.waiting = slices.Delete(c.pings.waiting, 0, 1)
	}
}
