//go:build portable || !(linux || darwin || freebsd)

package loop

import "syscall"

// portableBackend says that descriptors are none of the system.
const portableBackend = true

// systemFD returns the descriptor of the net.Conn behind c.
func systemFD(c *Conn) (fd int) {
	raw, err := fds.socket(int(c.fd)).nc.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(p uintptr) { fd = int(p) })
	}
	if err != nil {
		return -1
	}
	return fd
}

// numberTaken says whether fd is open.
func numberTaken(fd int) bool { return fds.get(fd) != nil }

// unreadBytes returns how many bytes have arrived that c has not read.
func unreadBytes(c *Conn) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return of(int(c.fd), func(s *socket) int { return len(s.in) - s.at })
}
