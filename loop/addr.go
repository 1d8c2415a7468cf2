//go:build (linux || darwin || freebsd) && !portable

package loop

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// sockAddr is the local address of fd; nil if the kernel does not tell.
func sockAddr(fd int) net.Addr {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil
	}
	return netAddr(sa)
}

func netAddr(sa unix.Sockaddr) net.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr).Unmap()
		return &net.TCPAddr{IP: addr.AsSlice(), Port: sa.Port, Zone: zoneName(sa.ZoneId)}
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: "unix"}
	}
	return nil
}

func zoneName(id uint32) string {
	if id == 0 {
		return ""
	}
	ifi, err := net.InterfaceByIndex(int(id))
	if err != nil {
		return ""
	}
	return ifi.Name
}

// sockaddr is the inverse of netAddr, with the address family.
func sockaddr(addr net.Addr) (unix.Sockaddr, int, error) {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		if ip := addr.IP.To4(); ip != nil {
			return &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(ip)}, unix.AF_INET, nil
		}
		ip := addr.IP.To16()
		if ip == nil {
			return nil, 0, &net.AddrError{Err: "no IP address; resolve the name first", Addr: addr.String()}
		}
		sa := &unix.SockaddrInet6{Port: addr.Port, Addr: [16]byte(ip)}
		if addr.Zone != "" {
			ifi, err := net.InterfaceByName(addr.Zone)
			if err != nil {
				return nil, 0, err
			}
			sa.ZoneId = uint32(ifi.Index)
		}
		return sa, unix.AF_INET6, nil
	case *net.UnixAddr:
		return &unix.SockaddrUnix{Name: addr.Name}, unix.AF_UNIX, nil
	}
	return nil, 0, net.UnknownNetworkError(addr.Network())
}

// duplicate returns a non-blocking duplicate of the descriptor behind v.
func duplicate(v any) (int, error) {
	sc, ok := v.(syscall.Conn)
	if !ok {
		return -1, errors.New("it gives no access to a descriptor")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	if cerr := raw.Control(func(p uintptr) { fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil {
		return -1, cerr
	}
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}
