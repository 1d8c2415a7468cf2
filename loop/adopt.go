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
	l, c := g.pick(), h.LoopConn()
	c.bind(l, h, policy)
	if err := l.Do(func() { c.open(fd, adopted) }); err != nil {
		c.unbind()
		_ = unix.Close(fd)
		return err
	}
	_ = nc.Close() // the duplicate is what counts
	return nil
}

// errDetached marks a connection whose end is not told to anyone.
var errDetached = errors.New("detached")

// Detach takes the connection away from the loop and returns it as a net.Conn
// that the caller owns. No event follows; what is queued must have been sent.
// If it fails, the connection goes on as before. Loop only.
func (c *Conn) Detach() (net.Conn, error) {
	if c.gone {
		return nil, ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out != nil {
		return nil, errors.New("loop: detach with bytes still queued; wait for OnDrain")
	}
	nc, err := netConn(int(c.fd))
	if err != nil {
		return nil, fmt.Errorf("loop: detach: %w", err)
	}
	c.gone = true
	c.flags |= dead | adopted // nc is a duplicate
	c.loop.wheel.disarm(c)
	c.loop.doomed = append(c.loop.doomed, doomed{c: c, err: errDetached})
	c.loop.poller.wakeSelf()
	return nc, nil
}

// netConn returns a net.Conn over a duplicate of fd.
func netConn(fd int) (net.Conn, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(dup), "")
	defer f.Close()
	return net.FileConn(f) // which duplicates
}
