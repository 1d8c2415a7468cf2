//go:build portable || !(linux || darwin || freebsd)

package loop

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// maxIn is how much of what arrived a socket holds for its loop before it reads
	// no more. One read may come on top.
	maxIn = 16 << 10
	// maxOut is how much a socket takes that is not sent yet.
	maxOut = 64 << 10
	// readMin is the buffer of a connection that waits for its peer, and readMax that
	// of one which gets much.
	readMin, readMax = 2 << 10, 16 << 10
	// writeMost is what one Write is given, and writeSlow while the peer takes less
	// than its loop sends, so that what it takes is seen to move on.
	writeMost, writeSlow = 16 << 10, 4 << 10
	// lastWords is how long a socket that was closed goes on sending what it had taken.
	lastWords = time.Minute
)

// socket is a net.Conn with buffers between it and its loop. A goroutine reads into
// the one, as long as there is room; another, while there is something, writes out of
// the other.
type socket struct {
	node

	// Guarded by mu.
	nc       net.Conn           // nil: it connects, or failed to
	cancel   context.CancelFunc // of what connects
	moved    sync.Cond          // in was taken from, or a goroutine ended, or the state changed
	in       []byte
	at       int // of in, what was taken
	eof      bool
	readErr  error // why nothing more is received
	out      []byte
	inFlight int         // bytes that a Write was given and did not return yet
	writeErr error       // why nothing more is sent
	broken   bool        // writeErr is yet to be reported
	full     bool        // a send found it full, since out was last empty
	shut     bool        // sending ends behind out
	linger0  bool        // closing resets
	reading  bool        // its goroutine runs
	writing  bool        // its goroutine runs
	detached bool        // nc belongs to somebody else
	over     *time.Timer // of lastWords, once it was closed while writing
}

func newSocketOf(nc net.Conn) *socket {
	s := &socket{nc: nc}
	s.moved.L = &s.mu
	return s
}

// readyLocked implements entry.
func (s *socket) readyLocked() (ev interest) {
	if s.inputLocked() {
		ev |= readable
	}
	if s.nc != nil && s.roomLocked() > 0 || s.readErr != nil || s.writeErr != nil {
		ev |= writable
	}
	if s.readErr != nil || s.broken {
		ev |= hangup
	}
	return ev
}

func (s *socket) inputLocked() bool { return len(s.in) > s.at || s.eof || s.readErr != nil }

func (s *socket) roomLocked() int { return maxOut - len(s.out) - s.inFlight }

// startLocked implements entry.
func (s *socket) startLocked() {
	if s.nc != nil && !s.reading && !s.eof && s.readErr == nil {
		s.reading = true
		go s.read()
	}
}

// read receives until the end. It does not read ahead of the loop by more than maxIn.
func (s *socket) read() {
	buf := make([]byte, readMin)
	for {
		n, err := s.nc.Read(buf)
		s.mu.Lock()
		s.in = append(s.in, buf[:n]...)
		switch {
		case err == nil || s.detached && errors.Is(err, errDeadline):
		case err == io.EOF:
			s.eof = true
		default:
			s.readErr = errnoIn(err)
		}
		reportLocked(s)
		for len(s.in)-s.at >= maxIn && err == nil && !s.closed && !s.detached {
			s.moved.Wait()
		}
		if err != nil || s.closed || s.detached {
			s.reading = false
			s.moved.Broadcast()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if n == len(buf) && n < readMax {
			buf = make([]byte, 2*n)
		}
	}
}

// recv takes bytes that arrived.
func (s *socket) recv(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.in) > s.at:
		n := copy(b, s.in[s.at:])
		if s.at += n; s.at == len(s.in) {
			s.in, s.at = s.in[:0], 0
			if cap(s.in) > 4*readMin { // a burst: most connections are idle
				s.in = nil
			}
		}
		s.moved.Broadcast()
		return n, nil
	case s.readErr != nil:
		return -1, s.readErr
	case s.eof:
		return 0, nil
	}
	return -1, syscall.EAGAIN
}

// send takes as much of bufs as there is room for.
func (s *socket) send(bufs ...[]byte) (sent int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.writeErr != nil:
		return -1, s.writeErr
	case s.shut || s.nc == nil || s.readErr != nil: // what broke, broke in both directions
		return -1, syscall.EPIPE
	}
	for _, b := range bufs {
		b = b[:min(len(b), s.roomLocked())]
		s.out = append(s.out, b...)
		sent += len(b)
	}
	s.full = s.full || s.roomLocked() <= 0
	if sent == 0 && s.roomLocked() <= 0 {
		return -1, syscall.EAGAIN
	}
	if !s.writing && len(s.out) > 0 {
		s.writing = true
		go s.write()
	}
	return sent, nil
}

// write sends until nothing is left, and then does what had to wait for that.
func (s *socket) write() {
	s.mu.Lock()
	for len(s.out) > 0 && s.writeErr == nil {
		sending := s.out
		s.out, s.inFlight = nil, len(sending)
		for len(sending) > 0 && s.writeErr == nil {
			piece := sending[:min(len(sending), s.pieceLocked())]
			s.mu.Unlock()
			n, err := s.nc.Write(piece)
			s.mu.Lock()
			sending = sending[n:]
			s.inFlight = len(sending)
			if err != nil {
				s.writeErr, s.broken = errnoIn(err), true
				s.out, s.inFlight = nil, 0
			}
			reportLocked(s)
		}
	}
	s.writing, s.full = false, false
	s.moved.Broadcast()
	nc, shut, closed := s.nc, s.shut, s.closed && !s.detached
	if s.over != nil {
		s.over.Stop()
	}
	s.mu.Unlock()
	switch {
	case closed:
		_ = nc.Close()
	case shut:
		_ = closeWrite(nc)
	}
}

func (s *socket) pieceLocked() int {
	if s.full {
		return writeSlow
	}
	return writeMost
}

// shutdown ends what s sends, behind what it has taken.
func (s *socket) shutdown() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.nc == nil:
		return syscall.ENOTCONN
	case s.readErr != nil || s.writeErr != nil:
		return syscall.EPIPE
	}
	if s.shut = true; s.writing {
		return nil
	}
	return closeWrite(s.nc)
}

// closeWrite ends what nc sends, if it can do that alone.
func closeWrite(nc net.Conn) error {
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return syscall.EOPNOTSUPP
}

// close implements entry. What s has taken is sent before nc is closed, for a minute
// at most.
func (s *socket) close() {
	s.mu.Lock()
	nc := s.nc
	s.closed, s.poller = true, nil
	s.moved.Broadcast()
	reset, sends := s.linger0, s.writing && !s.linger0
	if s.cancel != nil {
		s.cancel()
	}
	detached := s.detached
	s.mu.Unlock()
	switch {
	case nc == nil || detached:
	case sends:
		s.endIn(lastWords)
	default:
		if lingers, ok := nc.(interface{ SetLinger(int) error }); ok && reset {
			_ = lingers.SetLinger(0)
		}
		_ = nc.Close()
	}
}

// endIn closes what s goes on writing to, if it still does after d.
func (s *socket) endIn(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing {
		s.over = time.AfterFunc(d, func() { _ = s.nc.Close() })
	}
}

// errnoIn returns the number of the system in err, or err if there is none.
func errnoIn(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
