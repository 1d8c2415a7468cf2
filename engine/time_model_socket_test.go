//go:build linux

package engine_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// paced is the socket of a peer that one goroutine plays together with many others:
// once it is on, it never blocks. A read takes what is there, and no more than may
// be; what the socket does not take of a write waits in out.
type paced struct {
	net.Conn
	raw  syscall.RawConn
	on   bool
	may  int // bytes
	out  []byte
	sent int // bytes that the socket took
}

func newPaced(nc net.Conn) (*paced, error) {
	raw, err := nc.(*net.TCPConn).SyscallConn()
	return &paced{Conn: nc, raw: raw}, err
}

func (s *paced) Read(p []byte) (n int, err error) {
	if !s.on {
		return s.Conn.Read(p)
	}
	p = p[:min(len(p), s.may)]
	if len(p) == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	if cerr := s.raw.Control(func(fd uintptr) { n, _, err = unix.Recvfrom(int(fd), p, unix.MSG_DONTWAIT) }); cerr != nil {
		return 0, cerr
	}
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, os.ErrDeadlineExceeded // temporary, so crypto/tls goes on
	case err != nil:
		return 0, os.NewSyscallError("recv", err)
	case n == 0:
		return 0, io.EOF
	}
	s.may -= n
	return n, nil
}

func (s *paced) Write(p []byte) (int, error) {
	if !s.on {
		return s.Conn.Write(p)
	}
	s.out = append(s.out, p...)
	return len(p), nil
}

// flush gives the socket what it takes. What cannot be sent any more is forgotten.
func (s *paced) flush() {
	for len(s.out) > 0 {
		var n int
		var err error
		cerr := s.raw.Control(func(fd uintptr) {
			n, err = unix.SendmsgN(int(fd), s.out, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		})
		switch {
		case cerr != nil || err != nil && err != unix.EAGAIN && err != unix.EINTR:
			s.out = nil
			return
		case err != nil:
			return
		}
		s.out = s.out[n:]
		s.sent += n
	}
}

// isTemporary says whether a read found nothing, or may take no more for now.
func isTemporary(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// narrow makes the buffer of received bytes as small as the kernel has it, and wide
// leaves it; segments are as long as on other networks than lo.
var (
	narrow = controls(sockoptInt(syscall.SO_RCVBUF, 4096), shortSegments)
	wide   = shortSegments
)

func controls(list ...func(string, string, syscall.RawConn) error) func(string, string, syscall.RawConn) error {
	return func(network, address string, raw syscall.RawConn) (err error) {
		for _, fn := range list {
			err = errors.Join(err, fn(network, address, raw))
		}
		return err
	}
}

func shortSegments(_, _ string, raw syscall.RawConn) (err error) {
	cerr := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 1000)
	})
	return errors.Join(cerr, err)
}

// kernel is what the kernel knows of one end of a connection.
type kernel struct {
	state          uint8
	sent, received uint64 // bytes: that left for the other end, and that arrived in order
	acked          uint64 // of those sent, that the other end acknowledged
	unread         int    // bytes
	unsent         int    // bytes that wait for the other end's window
}

// look asks the kernel about fd, and makes it acknowledge what was read.
func look(fd int) (k kernel) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return kernel{}
	}
	k = kernel{state: info.State, sent: info.Bytes_sent - info.Bytes_retrans, received: info.Bytes_received, acked: info.Bytes_acked}
	k.unsent = int(info.Notsent_bytes)
	k.unread, _ = unix.IoctlGetInt(fd, unix.SIOCINQ)
	return k
}

// kernel asks about the socket; ok is false if it is closed.
func (s *paced) kernel() (k kernel, ok bool) {
	err := s.raw.Control(func(fd uintptr) { k = look(int(fd)) })
	return k, err == nil
}

// sawEnd says whether the other end has ended what it sends, or reset.
func (k *kernel) sawEnd() bool {
	switch k.state {
	case unix.BPF_TCP_CLOSE, unix.BPF_TCP_CLOSE_WAIT, unix.BPF_TCP_LAST_ACK, unix.BPF_TCP_CLOSING, unix.BPF_TCP_TIME_WAIT:
		return true
	}
	return false
}

// arrived says whether all that the other end sent is here, or waits until this end
// reads: where a segment does not fit what is left of a window, it may take the
// kernel a fifth of a second to find out that the window is open again. late says that
// long has been waited: what has not come by then, for an end that has not read
// everything, was dropped for want of memory, and comes again after the end has read.
func (k *kernel) arrived(other *kernel, late bool) bool {
	return (k.received >= other.sent || late && k.unread > 0) && (other.unsent == 0 || k.unread > 0)
}
