//go:build portable || !(linux || darwin || freebsd)

package loop

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// What a loop asks of a descriptor, by the entries of this package.

var errDeadline = os.ErrDeadlineExceeded

// vectors is nothing here: buffers are copied.
type vectors struct{}

func recv(fd int, b []byte) (int, error) {
	if s := fds.socket(fd); s != nil {
		return s.recv(b)
	}
	return -1, errBadDescriptor
}

func send(fd int, b []byte) (int, error) {
	if s := fds.socket(fd); s != nil {
		return s.send(b)
	}
	return -1, errBadDescriptor
}

func send3(fd int, a, b, c []byte) (int, error) {
	if s := fds.socket(fd); s != nil {
		return s.send(a, b, c)
	}
	return -1, errBadDescriptor
}

// sendv sends the buffers of g.
func sendv(fd int, g *gather) (int, error) {
	if s := fds.socket(fd); s != nil {
		return s.send(g.bufs...)
	}
	return -1, errBadDescriptor
}

// closeFD closes fd.
func closeFD(fd int) {
	if e := fds.remove(fd); e != nil {
		e.close()
	}
}

// of asks the socket that fd is; the zero value if it is none.
func of[T any](fd int, ask func(*socket) T) (v T) {
	s := fds.socket(fd)
	if s == nil {
		return v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return ask(s)
}

// socketError returns what failed on fd.
func socketError(fd int) error {
	return of(fd, func(s *socket) error {
		s.broken = false
		if s.readErr != nil {
			return s.readErr
		}
		return s.writeErr
	})
}

// connected reports whether fd has a peer.
func connected(fd int) bool { return of(fd, func(s *socket) bool { return s.nc != nil }) }

// resetOnClose makes closing fd drop what is unsent and reset the connection.
func resetOnClose(fd int) {
	of(fd, func(s *socket) bool { s.linger0 = true; return true })
}

// shutdownWrite ends what fd sends.
func shutdownWrite(fd int) error {
	if s := fds.socket(fd); s != nil {
		return s.shutdown()
	}
	return errBadDescriptor
}

// inputWaits reports whether a recv from fd would return something, be it the end. What
// the system has and this package has not read yet is not seen.
func inputWaits(fd int) bool { return of(fd, (*socket).inputLocked) }

// hangups: the end of one direction is seen unless more than the buffers hold lies
// before it.
const hangups = 1

// hungUp reports whether the peer of fd has ended its side, or the connection broke.
func hungUp(fd int) bool {
	return of(fd, func(s *socket) bool { return s.eof || s.readErr != nil || s.writeErr != nil })
}

// unacknowledged returns the bytes that fd has taken and not given to the system.
func unacknowledged(fd int) int {
	return of(fd, func(s *socket) int { return len(s.out) + s.inFlight })
}

// acknowledged is unknown here.
func acknowledged(int) int { return 0 }

func peerAddr(fd int) net.Addr {
	return of(fd, func(s *socket) net.Addr {
		if s.nc == nil {
			return nil
		}
		return s.nc.RemoteAddr()
	})
}

func sockAddr(fd int) net.Addr {
	return of(fd, func(s *socket) net.Addr {
		if s.nc == nil {
			return nil
		}
		return s.nc.LocalAddr()
	})
}

// Some numbers of package syscall on Windows are made up, and far above those of the
// system: they get the upper half of the two bytes that a connection has for one.
const madeUp = 1 << 29

func packErrno(errno syscall.Errno) uint16 {
	if errno >= madeUp {
		return 1<<15 | uint16(errno-madeUp)
	}
	return uint16(errno)
}

func unpackErrno(packed uint16) syscall.Errno {
	if packed >= 1<<15 {
		return madeUp + syscall.Errno(packed&(1<<15-1))
	}
	return syscall.Errno(packed)
}

// connect starts to connect. It is over when the descriptor is writable.
func connect(addr, local net.Addr) (int, error) {
	switch a := addr.(type) {
	case *net.TCPAddr:
		if a.IP.To16() == nil {
			return -1, &net.AddrError{Err: "no IP address; resolve the name first", Addr: addr.String()}
		}
	case *net.UnixAddr:
	default:
		return -1, net.UnknownNetworkError(addr.Network())
	}
	s := newSocketOf(nil)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	fd := fds.add(s)
	go s.connect(ctx, addr, local)
	return fd, nil
}

func (s *socket) connect(ctx context.Context, addr, local net.Addr) {
	d := net.Dialer{LocalAddr: local, KeepAlive: -1}
	nc, err := d.DialContext(ctx, addr.Network(), addr.String())
	s.cancel()
	s.mu.Lock()
	closed := s.closed
	if err != nil {
		s.readErr = errnoIn(err)
		s.writeErr = s.readErr
	} else {
		s.nc = nc
		if s.poller != nil {
			s.startLocked()
		}
	}
	reportLocked(s)
	s.mu.Unlock()
	if closed && nc != nil {
		_ = nc.Close()
	}
}

// bindLate does nothing here: bind chooses the port.
func bindLate(int) error { return nil }

// duplicate returns a descriptor for a net.Conn or net.Listener, which it takes over.
func duplicate(v any) (int, error) {
	r, isRest := v.(*rest)
	if isRest {
		return fds.add(newSocketOf(r.left())), nil
	}
	if err := access(v); err != nil {
		return -1, err
	}
	switch v := v.(type) {
	case net.Conn:
		return fds.add(newSocketOf(v)), nil
	case net.Listener:
		return fds.add(newListening(v)), nil
	}
	return -1, errors.New("it is no connection and no listener")
}

// access fails for what has no descriptor, or none any more, which is refused as on
// every system.
func access(v any) error {
	sc, ok := v.(syscall.Conn)
	if !ok {
		return errors.New("it gives no access to a descriptor")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(uintptr) {})
}

// disown does nothing: the original is what counts.
func disown(io.Closer) {}

// abandon gives back what duplicate took over.
func abandon(fd int) { fds.remove(fd) }

// netConn takes the net.Conn out of fd, of which closing is then all that may follow.
func netConn(fd int) (net.Conn, error) {
	s := fds.socket(fd)
	if s == nil {
		return nil, errBadDescriptor
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detached, s.poller = true, nil
	s.moved.Broadcast()
	if s.reading {
		_ = s.nc.SetReadDeadline(time.Time{}.Add(1)) // long ago
		for s.reading {
			s.moved.Wait()
		}
		_ = s.nc.SetReadDeadline(time.Time{})
	}
	if r, ok := s.nc.(*rest); ok {
		s.nc = r.left()
	}
	return (&rest{Conn: s.nc, s: s}).leftLocked(), nil
}

// rest is a net.Conn of which a socket has received more than its loop has taken, or
// has more to send. The socket is nobody else's any more: another loop that adopts
// the rest has a socket of its own over it.
type rest struct {
	net.Conn
	s *socket
}

// left is what is still needed of r: its connection, if that has nothing of r to wait
// for.
func (r *rest) left() net.Conn {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.leftLocked()
}

func (r *rest) leftLocked() net.Conn {
	if r.s.inputLocked() || r.s.writing || r.s.writeErr != nil {
		return r
	}
	return r.Conn
}

func (r *rest) Read(p []byte) (int, error) {
	if n, err := r.s.recv(p); err != syscall.EAGAIN {
		if n == 0 && err == nil && len(p) > 0 {
			err = io.EOF
		}
		return max(n, 0), err
	}
	return r.Conn.Read(p)
}

func (r *rest) Write(p []byte) (int, error) {
	if err := r.flushed(); err != nil {
		return 0, err
	}
	return r.Conn.Write(p)
}

// flushed waits until what the socket had taken is sent.
func (r *rest) flushed() error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for r.s.writing {
		r.s.moved.Wait()
	}
	return r.s.writeErr
}

// CloseWrite ends what is sent.
func (r *rest) CloseWrite() error {
	if err := r.flushed(); err != nil {
		return err
	}
	return closeWrite(r.Conn)
}

// SetLinger is that of a TCP connection.
func (r *rest) SetLinger(sec int) error {
	lingers, ok := r.Conn.(interface{ SetLinger(int) error })
	if !ok {
		return syscall.EOPNOTSUPP
	}
	r.s.mu.Lock()
	r.s.linger0 = sec == 0
	r.s.mu.Unlock()
	return lingers.SetLinger(sec)
}

// Close closes the connection behind what the socket had taken.
func (r *rest) Close() error {
	r.s.mu.Lock()
	r.s.detached = false
	r.s.mu.Unlock()
	r.s.close()
	return nil
}
