//go:build (linux || darwin || freebsd) && !portable

package loop

import "golang.org/x/sys/unix"

// portableBackend says that descriptors are none of the system.
const portableBackend = false

// systemFD returns the descriptor of c, which the caller has locked or owns.
func systemFD(c *Conn) int { return int(c.fd) }

// numberTaken says whether fd is open.
func numberTaken(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// unreadBytes returns how many bytes have arrived, up to a hundred, that c has not read.
func unreadBytes(c *Conn) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _, err := unix.Recvfrom(int(c.fd), make([]byte, 100), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil {
		return 0
	}
	return n
}
