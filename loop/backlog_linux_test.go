package loop

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// fullBacklog listens without accepting until nobody gets through: Linux then
// leaves the connects that follow without an answer.
func fullBacklog(t *testing.T) (addr net.Addr, release func()) {
	t.Helper()
	ln, err := newSocket(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(ln, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(ln)
	if err != nil {
		t.Fatal(err)
	}
	fds := []int{ln}
	for waiting := false; !waiting; {
		fd, err := newSocket(unix.AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := unix.Connect(fd, sa); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 100)
		if err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		waiting = n == 0 && err == nil
	}
	return netAddr(sa), func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
}
