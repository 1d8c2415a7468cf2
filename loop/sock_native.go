//go:build (linux || darwin || freebsd) && !portable

package loop

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// What a loop asks of a descriptor besides sending and receiving. The portable
// backend answers it without system calls.

// socketError returns what failed on the socket fd since it was last asked.
func socketError(fd int) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return os.NewSyscallError("getsockopt", err)
	case errno != 0:
		return syscall.Errno(errno)
	}
	return nil
}

// connected reports whether fd has a peer.
func connected(fd int) bool {
	_, err := unix.Getpeername(fd)
	return err == nil
}

// resetOnClose makes closing fd drop what is unsent and reset the connection.
func resetOnClose(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// shutdownWrite ends what fd sends.
func shutdownWrite(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// inputWaits reports whether a recv from fd would return something, be it the end.
func inputWaits(fd int) bool {
	var b [1]byte
	_, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil
}

// hungUp reports whether the peer of fd has ended its side, or the connection broke.
func hungUp(fd int) bool {
	polled := []unix.PollFd{{Fd: int32(fd), Events: hangups}}
	n, err := unix.Poll(polled, 0)
	return n > 0 && err == nil
}

// peerAddr is the address of the peer of fd; nil if the kernel does not tell.
func peerAddr(fd int) net.Addr {
	sa, err := peerName(fd)
	if err != nil {
		return nil
	}
	return netAddr(sa)
}

// disown closes what was duplicated: the duplicate is what counts.
func disown(original io.Closer) { _ = original.Close() }

// abandon closes a duplicate that no loop takes; the original goes on.
func abandon(fd int) { closeFD(fd) }

// Errors of system calls fit into the two bytes that a connection has for one.
func packErrno(errno syscall.Errno) uint16    { return uint16(errno) }
func unpackErrno(packed uint16) syscall.Errno { return syscall.Errno(packed) }

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
