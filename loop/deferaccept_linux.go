//go:build !portable

package loop

import "golang.org/x/sys/unix"

// deferSeconds is for how long, at least, a connection without data may stay with the kernel.
const deferSeconds = 5

// deferAccept keeps connections of the listening socket fd from being accepted before their peers
// have sent something. It does nothing for other sockets than those of TCP.
func deferAccept(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferSeconds)
}
