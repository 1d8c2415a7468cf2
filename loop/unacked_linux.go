package loop

import "golang.org/x/sys/unix"

// unacknowledged returns the bytes that the kernel holds for the peer of fd.
func unacknowledged(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
