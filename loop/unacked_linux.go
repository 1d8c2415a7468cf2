//go:build !portable

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

// acknowledged returns how many bytes the peer of a TCP socket has acknowledged.
func acknowledged(fd int) int {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return int(info.Bytes_acked)
}
