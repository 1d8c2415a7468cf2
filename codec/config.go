package codec

import "math"

// Role is the side of the connection the reader is on. It decides which frames
// must be masked (RFC 6455 section 5.1).
type Role uint8

// The two roles.
const (
	Server Role = iota // frames received must be masked
	Client             // frames received must not be masked
)

const (
	defaultMaxMessage   = 1 << 20
	defaultMaxFragments = 16384
	bytesPerFragment    = 64 // of a message that allow one frame more
)

// ReaderConfig holds what readers check frames against. The zero value is a
// server with the default limits. One config is meant to be shared by all
// connections, so do not change it once a Reader has it.
type ReaderConfig struct {
	// Role is the side the reader is on.
	Role Role
	// MaxMessage is the largest message in bytes, as it is on the wire: before
	// inflating. 0 means 1 MiB, a negative value means no limit.
	MaxMessage int64
	// MaxFragments is the largest number of frames in one message. 0 means 16384
	// and one more for each 64 bytes that came: a message of any size may come in
	// frames of 64 bytes, and none in empty frames without end. A negative value
	// means no limit.
	MaxFragments int
	// Rsv1 says that permessage-deflate was agreed on: RSV1 may be set on the
	// first frame of a data message (RFC 7692 section 6).
	Rsv1 bool
}

// maxMessage returns MaxMessage with its default.
func (c *ReaderConfig) maxMessage() int64 {
	switch {
	case c.MaxMessage == 0:
		return defaultMaxMessage
	case c.MaxMessage < 0:
		return math.MaxInt64
	}
	return c.MaxMessage
}

// maxFragments returns the most frames of a message of which length bytes came.
func (c *ReaderConfig) maxFragments(length int64) int64 {
	switch {
	case c.MaxFragments == 0:
		return defaultMaxFragments + length/bytesPerFragment
	case c.MaxFragments < 0:
		return math.MaxInt64
	}
	return int64(c.MaxFragments)
}
