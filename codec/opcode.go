package codec

import "strconv"

// OpCode says how the payload of a frame is to be read (RFC 6455 section 5.2).
type OpCode byte

// The opcodes RFC 6455 section 11.8 defines.
const (
	Continuation OpCode = 0x0
	Text         OpCode = 0x1
	Binary       OpCode = 0x2
	Close        OpCode = 0x8
	Ping         OpCode = 0x9
	Pong         OpCode = 0xA
)

const definedOpCodes = 1<<Continuation | 1<<Text | 1<<Binary | 1<<Close | 1<<Ping | 1<<Pong

// IsControl reports whether frames of op are control frames (RFC 6455
// section 5.5), the reserved ones included.
func (op OpCode) IsControl() bool { return op&0x8 != 0 }

// IsData reports whether op starts a data message: Text or Binary (RFC 6455
// section 5.6). A continuation frame carries data too but starts no message.
func (op OpCode) IsData() bool { return op == Text || op == Binary }

// IsReserved reports whether RFC 6455 leaves op undefined.
func (op OpCode) IsReserved() bool { return definedOpCodes>>op&1 == 0 }

// String names op, for logs.
func (op OpCode) String() string {
	switch op {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return "reserved opcode 0x" + strconv.FormatUint(uint64(op), 16)
}
