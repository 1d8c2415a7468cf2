package cli

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// ListenError says what to do about an address that cannot be listened on. flag
// is where the address was given.
func ListenError(flag, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use: stop what listens there, or choose another port with %s", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s is not allowed: ports below 1024 need privileges; choose a higher one with %s", addr, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is not an address of this machine: choose one that is, or :port for all, with %s", addr, flag)
	}
	if _, port, bad := net.SplitHostPort(addr); bad == nil {
		if _, unknown := net.LookupPort("tcp", port); unknown != nil {
			err = &net.AddrError{Err: "unknown port", Addr: addr}
		}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("%s: cannot find %q: give %s an address of this machine as host:port", addr, dns.Name, flag)
	}
	if bad, ok := errors.AsType[*net.AddrError](err); ok {
		return Usagef("%q is not an address (%s): give %s as host:port, for instance 127.0.0.1:9001", addr, bad.Err, flag)
	}
	return fmt.Errorf("cannot listen on %s: %w", addr, err)
}
