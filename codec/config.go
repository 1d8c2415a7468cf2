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
	defaultMaxFragments = 16384 // a message of the default size in frames of 64 bytes
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
	// MaxFragments is the largest number of frames in one message. 0 means
	// 16384, a negative value means no limit.
	MaxFragments int
	// Rsv1 says that permessage-deflate was agreed on: RSV1 may be set on the
	// first frame of a data message (RFC 7692 section 6).
	Rsv1 bool
}

// withDefaults returns the limits in force.
func (c *ReaderConfig) withDefaults() (maxMessage int64, maxFragments int) {
	maxMessage, maxFragments = c.MaxMessage, c.MaxFragments
	switch {
	case maxMessage == 0:
		maxMessage = defaultMaxMessage
	case maxMessage < 0:
		maxMessage = math.MaxInt64
	}
	switch {
	case maxFragments == 0:
		maxFragments = defaultMaxFragments
	case maxFragments < 0:
		maxFragments = math.MaxInt
	}
	return maxMessage, maxFragments
}
