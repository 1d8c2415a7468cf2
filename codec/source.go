package codec

import "io"

// source is a compressed message as package flate reads it, with the octets at
// its end that were not sent (RFC 7692 §7.2.1). They are the length of a stored
// block and good for nothing else: a message that is cut off must not be made up
// for by them. flate asks for the length of a stored block by one Read of its 4
// octets, less those it has already got by ReadByte; for the content by further
// ones; and for everything else by ReadByte, up to two octets ahead.
type source struct {
	p       []byte
	at      int  // of p, and the octets behind it
	stored  int  // bytes of content of a stored block that are still to come
	flushed bool // the octets that were not sent were the length of a block
}

// ReadByte implements io.ByteReader.
func (s *source) ReadByte() (byte, error) {
	s.at++
	if s.at <= len(s.p) {
		return s.p[s.at-1], nil
	}
	if behind := s.at - 1 - len(s.p); behind < len(deflateTail) {
		return deflateTail[behind], nil
	}
	s.at--
	return 0, io.EOF
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (int, error) {
	if s.stored == 0 {
		return s.readLength(b)
	}
	if s.at >= len(s.p) {
		return 0, io.EOF
	}
	n := copy(b, s.p[s.at:])
	s.at += n
	s.stored -= n
	return n, nil
}

func (s *source) readLength(b []byte) (int, error) {
	begin := s.at + len(b) - len(deflateTail)
	switch {
	case begin == len(s.p):
		s.flushed = true
		copy(b, deflateTail[len(deflateTail)-len(b):])
	case begin+len(deflateTail) <= len(s.p):
		s.stored = int(s.p[begin]) | int(s.p[begin+1])<<8
		copy(b, s.p[s.at:])
	default:
		return 0, io.EOF
	}
	s.at += len(b)
	return len(b), nil
}
