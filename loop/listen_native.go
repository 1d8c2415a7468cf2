//go:build (linux || darwin || freebsd) && !portable

package loop

import (
	"errors"
	"net"
	"strconv"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"
)

// open opens a listening descriptor for each loop.
func (ln *Listener) open(addr string, cfg ListenConfig) error {
	loops := ln.group.loops
	shared := len(loops) > 1
	if shared { // others with SO_REUSEPORT would not be noticed
		probe, err := listenTCP(addr, false)
		if err != nil {
			return err
		}
		addr = withPort(addr, sockAddr(probe))
		closeFD(probe)
	}
	for _, l := range loops {
		fd, err := listenTCP(addr, shared)
		if err != nil {
			return err
		}
		ln.addr = sockAddr(fd)
		ln.acceptors = append(ln.acceptors, &acceptor{loop: l, fd: fd, cfg: cfg})
	}
	return nil
}

// inheritNoDelay sets TCP_NODELAY for what a listening descriptor accepts; it does
// nothing for unix sockets.
func inheritNoDelay(fd int) { _ = socket.SetNoDelay(fd, 1) }

func openReserve() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

func closeReserve(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// listenTCP opens a listening socket; what it accepts inherits TCP_NODELAY.
func listenTCP(addr string, shared bool) (int, error) {
	opts := []socket.Option[int]{
		{SetSockOpt: socket.SetReuseAddr, Opt: 1},
		{SetSockOpt: socket.SetNoDelay, Opt: 1},
	}
	if shared {
		opts = append(opts, socket.Option[int]{SetSockOpt: socket.SetReuseport, Opt: 1})
	}
	fd, _, err := socket.TCPSocket("tcp", addr, true, opts, nil)
	if errors.Is(err, unix.EAFNOSUPPORT) { // no IPv6 on this machine
		fd, _, err = socket.TCPSocket("tcp4", addr, true, opts, nil)
	}
	return fd, err
}

// withPort replaces the port of addr by that of bound.
func withPort(addr string, bound net.Addr) string {
	host, _, err := net.SplitHostPort(addr)
	tcp, ok := bound.(*net.TCPAddr)
	if err != nil || !ok {
		return addr
	}
	return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}
