package engine

import (
	"cmp"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
)

// Compression turns on permessage-deflate (RFC 7692) where the other side agrees. The zero value
// compresses each message by itself: no memory is held between messages, and a published message
// is compressed once for all subscribers.
//
// nil turns it off, which is the default. Compression costs many times the CPU of a plain message
// and gains little on the short messages of a chat. Do not compress secrets together with text of
// an attacker: the length reveals them.
type Compression struct {
	// ServerContextTakeover lets the server refer back to the messages it sent before, and
	// ClientContextTakeover the client (section 7.1.1), unless the other side forbids it. Similar
	// messages of up to 16 KiB become much smaller; longer ones that this package sends refer to
	// nothing. Each direction takes memory while the connection lives: see Memory.
	//
	// Published messages refer to nothing, so that they are compressed once. The next message sent
	// to this connection alone begins anew.
	//
	// Dial asks the server to forgo takeover where ServerContextTakeover is false. A server that
	// does not agree is accepted.
	ServerContextTakeover bool
	ClientContextTakeover bool

	// ServerMaxWindowBits and ClientMaxWindowBits bound how far back each side refers: 8 to 15 for
	// 256 bytes to 32 KiB (section 7.1.2). A server with ClientMaxWindowBits below 15 declines
	// clients that cannot bound theirs. Published messages are compressed once for each size in
	// use. Default: 15.
	ServerMaxWindowBits int
	ClientMaxWindowBits int

	// Threshold is the size in bytes from which messages are compressed; 1 compresses all. Default:
	// 256, where the JSON of a chat shrinks by a third without takeover. Half of that shrinks by a
	// tenth, and less than that grows.
	Threshold int

	// Memory bounds the bytes that a server sets aside for context takeover of all connections,
	// those of other endpoints included. Connections beyond it are compressed without takeover.
	// Default: 64 MiB; NoLimit turns it off. Dial ignores it.
	Memory int

	// MaxRatio bounds how many times its compressed size a received message of more than 64 KiB may
	// have. Beyond it the connection is closed with 1009. Set it if you turn off
	// Limits.MaxMessage, which bounds what inflates otherwise. Default: off.
	MaxRatio int
}

const defaultThreshold = 256

// compressor is the permessage-deflate of one Endpoint, or of one Dial.
type compressor struct {
	// Immutable.
	options Compression
	role    codec.Role

	frames.Compressor
	*deflated
}

// packer is the part of c that packs frames; nil without c.
func (c *compressor) packer() *frames.Compressor {
	if c == nil {
		return nil
	}
	return &c.Compressor
}

// deflated counts the permessage-deflate of all endpoints of a Server, or of one Dial.
type deflated struct {
	conns    atomic.Int64 // that agreed on it
	reserved atomic.Int64 // bytes for takeover
	windows  atomic.Int64 // bytes that takeover holds
	counts   frames.Counts
}

// newCompressor returns nil without options.
func newCompressor(options *Compression, e *settings, counts *deflated) *compressor {
	if options == nil {
		return nil
	}
	c := &compressor{options: *options, role: e.role, deflated: counts}
	c.Counts = &counts.counts
	for _, bits := range [...]*int{&c.options.ServerMaxWindowBits, &c.options.ClientMaxWindowBits} {
		setDefault(bits, codec.MaxWindowBits)
		*bits = min(max(*bits, codec.MinWindowBits), codec.MaxWindowBits)
	}
	setDefault(&c.options.Threshold, defaultThreshold)
	setDefault(&c.options.Memory, 64<<20)
	if c.role == codec.Client {
		c.options.Memory = -1
	}
	var head [codec.MaxHeaderSize]byte
	c.MinFrame = c.options.Threshold + codec.PutHeader(&head, codec.Header{Length: int64(c.options.Threshold)})
	return c
}

// publishing compresses what is published, from the smallest Threshold on that the
// endpoints of s have.
func (s *Server) publishing() *compressor {
	of := Compression{}
	take := func(c *Compression) {
		if c == nil {
			return
		}
		threshold := cmp.Or(c.Threshold, defaultThreshold)
		of.Threshold = min(cmp.Or(of.Threshold, threshold), threshold)
	}
	take(s.Compression)
	if s.routes != nil {
		for _, r := range s.routes.all {
			take(r.endpoint.Compression)
		}
	}
	return newCompressor(&of, s.settings, &s.deflated)
}
