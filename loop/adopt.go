package loop

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Adopt moves an established connection to a loop of the group, with h as its
// handler: the descriptor is duplicated and nc is closed. nc must give access
// to its descriptor (*net.TCPConn, *net.UnixConn). Bytes that were read from
// nc before are the caller's to hand to h. OnOpen follows on the loop, or
// OnClose. Any goroutine.
func (g *Group) Adopt(nc net.Conn, h Handler, policy *WritePolicy) error {
	fd, err := duplicate(nc)
	if err != nil {
		return fmt.Errorf("loop: adopt %T: %w", nc, err)
	}
	l := g.pick()
	if err := l.Do(func() { h.LoopConn().open(l, h, policy, fd, adopted) }); err != nil {
		_ = unix.Close(fd)
		return err
	}
	_ = nc.Close() // the duplicate is what counts
	return nil
}

// Detach takes the descriptor away from the loop and returns it as a net.Conn
// that the caller owns. No event follows; what is queued must have been sent.
// Loop only.
func (c *Conn) Detach() (net.Conn, error) {
	if c.gone {
		return nil, ErrClosed
	}
	c.mu.Lock()
	if c.out != nil {
		c.mu.Unlock()
		return nil, errors.New("loop: detach with bytes still queued")
	}
	fd, want := int(c.fd), c.want
	c.flags |= dead
	c.fd = -1
	c.mu.Unlock()
	c.gone = true
	c.loop.wheel.disarm(c)
	c.loop.delist(fd)
	if err := c.loop.poller.del(fd, want); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "")
	defer f.Close() // FileConn duplicates
	nc, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("loop: detach: %w", err)
	}
	return nc, nil
}
