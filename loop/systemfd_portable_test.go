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
