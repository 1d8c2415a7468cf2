package load

import (
	"encoding/binary"
	"math/bits"

	"github.com/fanloop-go/fanloop/codec"
)

// template is a message without its stamp, as it is sent and as it comes back.
type template struct {
	frame []byte // masked, header included
	at    int    // where the stamp begins
	want  []byte // the payload
	mask  uint64 // the mask key, twice, as it falls on the stamp
}

// templates are the messages of a worker, which follow one another by number.
// Noise is always the same. Chat messages differ as far back as a compressor
// can see, so that context takeover finds words again and not whole messages.
type templates struct {
	text bool
	bits int // of the LZ77 window, if compressed
	all  []template
}

// newTemplates makes the messages of cfg. bits is the largest window that the
// server allows (RFC 7692 section 7.1.2.2).
func newTemplates(cfg *Config, bits int) templates {
	if cfg.Payload != JSON {
		return templates{all: []template{plainTemplate(codec.Binary, noise(cfg.Size))}}
	}
	t := templates{text: true, bits: bits, all: make([]template, 2+(64<<10)/cfg.Size)}
	var deflater *codec.Deflater
	if cfg.Compression != Off {
		deflater = codec.NewDeflater(bits)
	}
	for n := range t.all {
		want := appendChat(make([]byte, textStampSize, cfg.Size), n, cfg.Size-textStampSize)
		if deflater == nil {
			t.all[n] = plainTemplate(codec.Text, want)
			continue
		}
		t.all[n] = deflatedTemplate(want, deflater)
	}
	return t
}

// noise is a payload whose bytes all differ from their neighbours.
func noise(size int) []byte {
	p := make([]byte, size)
	x := uint32(2463534242)
	for i := range p {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		p[i] = byte(x)
	}
	return p
}

func plainTemplate(op codec.OpCode, want []byte) template {
	frame := codec.AppendMaskedFrame(nil, op, true, want)
	return newTemplate(frame, len(frame)-len(want), 0, want)
}

// deflatedTemplate compresses want once and leaves its stamp readable in front,
// in a block that is stored (RFC 1951 section 3.2.4), so that messages can be
// stamped without compressing them anew. They never refer to one another.
func deflatedTemplate(want []byte, deflater *codec.Deflater) template {
	const n = textStampSize
	payload := []byte{0, n, 0, ^byte(n), 0xff}
	at := len(payload)
	payload = append(payload, want[:n]...)
	payload = deflater.AppendMessage(payload, want[n:], nil)
	frame := codec.AppendMaskedCompressedFrame(nil, codec.Text, true, payload)
	return newTemplate(frame, len(frame)-len(payload), at, want)
}

// newTemplate makes a message of a frame, whose payload begins at begin and the
// stamp in it at at.
func newTemplate(frame []byte, begin, at int, want []byte) template {
	key := uint64(binary.LittleEndian.Uint32(frame[begin-4:]))
	return template{frame: frame, at: begin + at, want: want, mask: bits.RotateLeft64(key|key<<32, -8*(at%4))}
}

// stamped is the frame of the message that s names. It is valid until the next
// call.
func (ts *templates) stamped(s stamp) []byte {
	t := ts.of(s)
	if !ts.text {
		lo, hi := s.words()
		t.put(0, lo)
		t.put(8, hi)
		return t.frame
	}
	var b [textStampSize]byte
	s.text(&b)
	for i := 0; i < len(b); i += 8 {
		t.put(i, binary.LittleEndian.Uint64(b[i:]))
	}
	return t.frame
}

func (t *template) put(i int, word uint64) {
	binary.LittleEndian.PutUint64(t.frame[t.at+i:], word^t.mask)
}

// of is the message that s names.
func (ts *templates) of(s stamp) *template { return &ts.all[int(s.seq)%len(ts.all)] }

// read reads the stamp of p, which has the size of a message.
func (ts *templates) read(p []byte) (s stamp, size int, ok bool) {
	if ts.text {
		s, ok = readTextStamp(p)
		return s, textStampSize, ok
	}
	s, ok = readStamp(p)
	return s, stampSize, ok
}
