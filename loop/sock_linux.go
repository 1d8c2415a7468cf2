//go:build !race && !portable

package loop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Raw system calls: the descriptors never block, so the scheduler need not
// hear of them. They are those of package syscall, which take their arguments in
// registers; those of x/sys go through a stub that does not. And the socket
// calls skip the file layer that read and write go through.

const sendFlags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT

func recv(fd int, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
			uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return -1, errnoError(errno)
		}
	}
}

func send(fd int, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), sendFlags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return -1, errnoError(errno)
		}
	}
}

// send3 sends up to three buffers, of which some may be empty.
func send3(fd int, a, b, c []byte) (int, error) {
	a = a[:min(len(a), maxSend)]
	b = b[:min(len(b), maxSend-len(a))]
	c = c[:min(len(c), maxSend-len(a)-len(b))]
	// Written out: a pointer stored through a pointer escapes, and with it the
	// caller's frame header.
	iov := [3]unix.Iovec{{Base: unsafe.SliceData(a)}, {Base: unsafe.SliceData(b)}, {Base: unsafe.SliceData(c)}}
	iov[0].SetLen(len(a))
	iov[1].SetLen(len(b))
	iov[2].SetLen(len(c))
	return sendmsg(fd, &iov[0], len(iov))
}

// vectors are the buffers of a gather as the kernel takes them.
type vectors struct{ iov [maxBuffers]unix.Iovec }

// sendv sends the buffers of g.
func sendv(fd int, g *gather) (int, error) {
	for i, b := range g.bufs {
		g.iov[i].Base = unsafe.SliceData(b)
		g.iov[i].SetLen(len(b))
	}
	n, err := sendmsg(fd, &g.iov[0], len(g.bufs))
	clear(g.iov[:len(g.bufs)])
	return n, err
}

func sendmsg(fd int, iov *unix.Iovec, n int) (int, error) {
	msg := unix.Msghdr{Iov: iov}
	msg.SetIovlen(n)
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&msg)), sendFlags)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return -1, errnoError(errno)
		}
	}
}

// errnoError turns the common errors into values made before.
func errnoError(errno syscall.Errno) error {
	switch errno {
	case unix.EAGAIN:
		return errAgain
	case unix.ECONNRESET:
		return errReset
	}
	return errno
}

var (
	errAgain error = unix.EAGAIN
	errReset error = unix.ECONNRESET
)
