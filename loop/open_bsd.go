//go:build (darwin || freebsd) && !portable

package loop

import (
	"syscall"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"
)

// acceptOne takes one connection from the listening descriptor fd.
func acceptOne(fd int) (int, error) {
	n, _, err := socket.Accept(fd)
	if err != nil {
		return -1, err
	}
	_ = socket.SetNoDelay(n, 1) // not inherited everywhere; not for unix sockets
	return n, nil
}

func newSocket(family int) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindLate does nothing here: bind chooses the port.
func bindLate(int) error { return nil }

// closeFD closes fd. Whatever the kernel says to that, the number is free.
func closeFD(fd int) { _ = unix.Close(fd) }
