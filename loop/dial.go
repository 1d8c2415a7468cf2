package loop

import (
	"net"
	"os"
	"syscall"
)

// DialConfig says how Dial connects.
type DialConfig struct {
	// Local is the address to connect from; nil lets the kernel choose. Port 0
	// is chosen at connect, so that many connections may share local ports.
	Local net.Addr
	// Policy is the write policy of the connection; nil means no bounds.
	Policy *WritePolicy
}

// Dial connects to addr, which holds an IP address (*net.TCPAddr) or a path
// (*net.UnixAddr), without blocking anyone. OnOpen follows on a loop of the
// group when the connection stands, or OnClose with the reason why it does
// not. Any goroutine; the error is ErrStopped, and then no event follows.
func (g *Group) Dial(addr net.Addr, h Handler, cfg DialConfig) error {
	l, c := g.pick(), h.LoopConn()
	c.bind(l, h, cfg.Policy)
	if err := l.Do(func() { c.dial(addr, cfg.Local) }); err != nil {
		c.unbind()
		return err
	}
	return nil
}

func (c *Conn) dial(addr, local net.Addr) {
	fd, err := connect(addr, local)
	if err != nil {
		c.stillborn(err)
		return
	}
	c.open(fd, opening, 0)
}

// BindLate leaves the choice of a local port to connect, where the system can do
// that (Linux), so that connections to different peers may share one. It is a
// Control for a net.Dialer whose LocalAddr has port 0.
func BindLate(_, _ string, rc syscall.RawConn) error {
	var err error
	if failed := rc.Control(func(fd uintptr) { err = bindLate(int(fd)) }); failed != nil {
		return failed
	}
	return os.NewSyscallError("setsockopt", err)
}
