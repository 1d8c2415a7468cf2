package loop

import (
	"net"
	"os"
	"syscall"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"
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

// connect starts a non-blocking connect.
func connect(addr, local net.Addr) (int, error) {
	sa, family, err := sockaddr(addr)
	if err != nil {
		return -1, err
	}
	fd, err := newSocket(family)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := prepare(fd, family, local); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	err = unix.Connect(fd, sa)
	if err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// prepare makes fd ready to connect.
func prepare(fd, family int, local net.Addr) error {
	if family != unix.AF_UNIX {
		if err := socket.SetNoDelay(fd, 1); err != nil {
			return err
		}
	}
	if local == nil {
		return nil
	}
	return bindLocal(fd, local)
}

func bindLocal(fd int, local net.Addr) error {
	sa, _, err := sockaddr(local)
	if err != nil {
		return err
	}
	if _, ok := local.(*net.TCPAddr); ok {
		if err := bindLate(fd); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
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
