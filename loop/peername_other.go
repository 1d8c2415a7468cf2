//go:build (darwin || freebsd) && !portable

package loop

import "golang.org/x/sys/unix"

// peerName is the address of the peer of fd.
func peerName(fd int) (unix.Sockaddr, error) { return unix.Getpeername(fd) }
