package loop

import (
	"errors"
	"fmt"
	"net"
)

// Adopt moves an established connection to a loop of the group, with h as its
// handler: the descriptor is duplicated and nc is closed. nc must give access
// to its descriptor (*net.TCPConn, *net.UnixConn), or be a *tls.Conn of
// NewTLSListener or Detach whose handshake is finished, and which stays
// encrypted; nobody else may use it any more. Bytes that were read from nc
// before are the caller's to hand to h; what a *tls.Conn read ahead is not lost.
// OnOpen follows on the loop, or OnClose. Any goroutine.
func (g *Group) Adopt(nc net.Conn, h Handler, policy *WritePolicy) error {
	raw, fd := nc, -1
	t, err := layerOf(nc)
	if t != nil {
		raw = t.nc
	}
	if err == nil {
		fd, err = duplicate(raw)
	}
	if err != nil {
		return fmt.Errorf("loop: adopt %T: %w", nc, err)
	}
	l, c := g.pick(), h.LoopConn()
	c.bind(l, h, policy)
	if err := l.Do(func() { c.adopt(fd, t) }); err != nil {
		c.unbind()
		abandon(fd)
		return err
	}
	disown(raw)
	return nil
}

// adopt opens c, which was the transport of t if that is not nil. Loop only.
func (c *Conn) adopt(fd int, t *tlsLayer) {
	if t != nil {
		t.moveToLoop(c)
	}
	c.open(fd, open, adopted)
	if t != nil && c.phase != ended {
		c.resumeSealed()
	}
}

// errDetached marks a connection whose handler gets no OnClose.
var errDetached = errors.New("detached")

// Detach takes the connection away from the loop and returns it as a net.Conn
// that the caller owns: a *tls.Conn if it is encrypted. No event follows. What is
// queued is sent first, which the socket must take at once, and a TLS handshake
// must be over. If it fails, the connection goes on as before; ErrClosed means
// that it ends. Loop only.
func (c *Conn) Detach() (net.Conn, error) {
	if c.phase == ended {
		return nil, ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out != nil && c.want&writable == 0 {
		c.flushLocked(nil, nil)
	}
	switch {
	case c.asked != stayOpen:
		return nil, ErrClosed // OnClose follows
	case c.out != nil:
		return nil, errors.New("loop: detach with bytes still queued; NotifyEmptyLocked tells when they are sent")
	}
	if c.tls != nil && c.tls.shaking() {
		return nil, errors.New("loop: detach during a TLS handshake; wait for its end")
	}
	nc, err := netConn(int(c.fd))
	if err != nil {
		return nil, fmt.Errorf("loop: detach: %w", err)
	}
	if c.tls != nil {
		nc = c.tls.moveToSocketLocked(nc)
	}
	c.phase = ended    // without advanceLocked: TLS goes on elsewhere
	c.flags |= adopted // nc is a duplicate
	c.loop.wheel.disarm(c)
	c.loop.ended = append(c.loop.ended, endedConn{c: c, err: errDetached})
	c.loop.poller.wakeSelf()
	return nc, nil
}
