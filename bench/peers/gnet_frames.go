package main

import (
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
)

var (
	errClosing = errors.New("the connection is closing")
	errTooLong = errors.New("the frame is too long")
)

// gnetRun is neighbouring answers that go to the same place. They lie in the
// read buffer over the frames they answer, each four bytes shorter than its
// frame, which carried a mask key.
type gnetRun struct {
	start, end int
	publish    bool
}

// answer answers the complete frames at the front of in, in place, and returns
// how many bytes they were. Answers that follow one another to the same place
// leave in one write.
func (s *gnetServer) answer(c gnet.Conn, conn *gnetConn, in []byte) (used int, err error) {
	run := gnetRun{start: 4, end: 4}
	for {
		h, n := parseGnetHeader(in[used:])
		if h.Length < 0 || h.Length > maxUnread { // §5.2: the highest bit is 0
			return used, errTooLong
		}
		size := n + int(h.Length)
		if n == 0 || len(in)-used < size {
			conn.need = size
			break
		}
		if err := conn.check(h); err != nil {
			return used, err
		}
		frame := in[used : used+size]
		ws.Cipher(frame[n:], h.Mask, 0)
		whole := h.Fin && (h.OpCode == ws.OpText || h.OpCode == ws.OpBinary)
		if publish := whole && isPublish(frame[n:]); publish != run.publish {
			if err := s.flush(c, conn, in, run); err != nil {
				return used, err
			}
			run = gnetRun{start: used + 4, end: used + 4, publish: publish}
		}
		run.end += answerGnetFrame(in[run.end:], frame, n, h.OpCode)
		used += size
		if h.OpCode == ws.OpClose { // §5.5.1
			_ = s.flush(c, conn, in, run)
			return used, errClosing
		}
	}
	return used, s.flush(c, conn, in, run)
}

// check refuses what is not a frame a client may send now.
func (conn *gnetConn) check(h ws.Header) error {
	if err := ws.CheckHeader(h, conn.state); err != nil {
		return err
	}
	switch {
	case h.OpCode.IsControl():
	case h.Fin:
		conn.state = conn.state.Clear(ws.StateFragmented)
	default:
		conn.state = conn.state.Set(ws.StateFragmented)
	}
	return nil
}

func (s *gnetServer) flush(c gnet.Conn, conn *gnetConn, in []byte, run gnetRun) error {
	switch {
	case run.start == run.end:
		return nil
	case !run.publish:
		return gnetWrite(c, in[run.start:run.end])
	}
	s.publish(conn.room, in[run.start:run.end])
	if c.Context() == nil { // the write to c failed
		return errClosing
	}
	return nil
}

// answerGnetFrame writes the answer to frame, whose header is n bytes, at the
// front of to and returns its length. to may overlap frame, but not begin
// behind frame[4].
func answerGnetFrame(to, frame []byte, n int, op ws.OpCode) int {
	switch op {
	case ws.OpPong: // §5.5.3: not answered
		return 0
	case ws.OpPing: // §5.5.2
		frame[0] += byte(ws.OpPong - ws.OpPing)
	}
	copy(to, frame[:n-4])
	to[1] &= 0x7f
	return n - 4 + copy(to[n-4:], frame[n:])
}

// parseGnetHeader parses the header of a masked frame at the front of b. n == 0
// means b is too short.
func parseGnetHeader(b []byte) (h ws.Header, n int) {
	if len(b) < 6 {
		return h, 0
	}
	h = ws.Header{
		Fin:    b[0]&0x80 != 0,
		Rsv:    b[0] >> 4 & 7,
		OpCode: ws.OpCode(b[0] & 0x0f),
		Masked: b[1]&0x80 != 0,
		Length: int64(b[1] & 0x7f),
	}
	n = 6
	switch h.Length { // §5.2
	case 126:
		if n = 8; len(b) < n {
			return ws.Header{}, 0
		}
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if n = 14; len(b) < n {
			return ws.Header{}, 0
		}
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
	}
	copy(h.Mask[:], b[n-4:n])
	return h, n
}
