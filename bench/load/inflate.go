package load

import (
	"bytes"
	"fmt"
	"hash/maphash"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/handshake"
)

// offers are what the clients ask for (RFC 7692 section 7.1), the one of
// Takeover being that of browsers.
var offers = map[Compression]string{
	Deflate:  "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
	Takeover: "permessage-deflate; client_max_window_bits",
}

// agree takes what the server agreed to. On the loop of c.
func (c *conn) agree(agreed *handshake.Agreed) error {
	want, got := c.gen.cfg.Compression, agreed.Deflate
	switch {
	case want == Off:
		return nil // what was not offered was refused already
	case got == nil:
		return fmt.Errorf("the server does not agree to permessage-deflate; start it with compression")
	case want == Takeover && (got.ServerNoContextTakeover || got.ClientNoContextTakeover):
		return fmt.Errorf("the server agrees to permessage-deflate without context takeover only: %s", handshake.FormatDeflate(*got))
	}
	bits := codec.MaxWindowBits
	if got.ServerMaxWindowBits > 0 {
		bits = int(got.ServerMaxWindowBits)
	}
	if want == Takeover {
		c.window = codec.NewWindow(bits)
	}
	if got.ClientMaxWindowBits > 0 {
		if bits := int(got.ClientMaxWindowBits); bits < c.worker.templates.bits {
			c.worker.templates = newTemplates(&c.gen.cfg, bits)
		}
	}
	return nil
}

// inflater inflates what a worker's connections receive. Owned by the loop.
type inflater struct {
	codec *codec.Inflater
	limit codec.InflateLimit

	// What was inflated last: without context takeover the subscribers of a
	// publish get the same bytes, and inflating them thousands of times would
	// keep the clients' CPU from the server's pace. Nil where that cannot be.
	seen []inflated
	seed maphash.Seed
}

// inflated is a message as it came and as it was.
type inflated struct{ wire, plain []byte }

// remembered is how many places there are for messages that an inflater
// recognizes: so many more than a burst that two of it rarely share one.
const remembered = 1024

func newInflater(cfg *Config) *inflater {
	f := &inflater{codec: codec.NewInflater(), limit: codec.InflateLimit{MaxMessage: int64(cfg.Size) + 1}, seed: maphash.MakeSeed()}
	if cfg.Mode == Fanout && cfg.Compression == Deflate {
		f.seen = make([]inflated, remembered)
	}
	return f
}

// inflate returns the message in p, which is valid until the next call.
func (f *inflater) inflate(c *conn, p []byte) ([]byte, error) {
	if f.seen == nil {
		return f.codec.Inflate(p, c.window, f.limit)
	}
	at := &f.seen[maphash.Bytes(f.seed, p)%remembered]
	if bytes.Equal(at.wire, p) {
		return at.plain, nil
	}
	plain, err := f.codec.Inflate(p, nil, f.limit)
	if err == nil {
		at.wire, at.plain = append(at.wire[:0], p...), append(at.plain[:0], plain...)
	}
	return plain, err
}
