//go:build !portable

package loop

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerName is the address of the peer of fd, also when both sides have ended and
// getpeername knows of no peer any more.
func peerName(fd int) (unix.Sockaddr, error) {
	sa, err := unix.Getpeername(fd)
	if err != unix.ENOTCONN {
		return sa, err
	}
	var raw unix.RawSockaddrAny
	if err := lastPeer(fd, &raw, unix.SizeofSockaddrInet4); err != nil {
		return nil, err
	}
	switch raw.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&raw))
		return &unix.SockaddrInet4{Addr: in.Addr, Port: hostOrder(in.Port)}, nil
	case unix.AF_INET6:
		if err := lastPeer(fd, &raw, unix.SizeofSockaddrInet6); err != nil {
			return nil, err
		}
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&raw))
		return &unix.SockaddrInet6{Addr: in.Addr, Port: hostOrder(in.Port), ZoneId: in.Scope_id}, nil
	}
	return nil, err
}

// lastPeer reads size bytes of the peer's address, and not more than it has: the
// kernel would refuse. SO_PEERNAME, unlike getpeername, does not ask for the state.
func lastPeer(fd int, raw *unix.RawSockaddrAny, size uint32) error {
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERNAME,
		uintptr(unsafe.Pointer(raw)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// hostOrder is a number that the kernel wrote in network order.
func hostOrder(n uint16) int {
	return int(binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&n))[:]))
}
