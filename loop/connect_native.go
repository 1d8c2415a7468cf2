//go:build (linux || darwin || freebsd) && !portable

package loop

import (
	"net"
	"os"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"
)

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
