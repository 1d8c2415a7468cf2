package codec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// masked returns a frame as a client sends it. Further bits of the first byte,
// RSV1 to RSV3 or a missing FIN, are given with op.
func masked(first byte, payload string) []byte {
	h := Header{
		OpCode: OpCode(first & 0xf),
		Fin:    first&finBit != 0, Rsv1: first&rsv1Bit != 0, Rsv2: first&rsv2Bit != 0, Rsv3: first&rsv3Bit != 0,
		Masked: true, Mask: testKey, Length: int64(len(payload)),
	}
	b := AppendHeader(nil, h)
	n := len(b)
	b = append(b, payload...)
	ws.Cipher(b[n:], h.Mask, 0)
	return b
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// outcome is what a reader makes of a stream.
type outcome struct {
	events   []string // in order; a message that came in pieces counts when it is whole
	unended  string   // the pieces of a message that goes on (streaming mode)
	err      error
	inside   bool // a message is under way at the end
	buffered int
}

func (o outcome) String() string {
	return fmt.Sprintf("events %q, unended %q, error %v, inside %v, buffered %d", o.events, o.unended, o.err, o.inside, o.buffered)
}

// read gives stream to a new reader in reads that end at cuts.
func read(t *testing.T, cfg *ReaderConfig, streaming bool, stream []byte, cuts func(left int) int) outcome {
	t.Helper()
	var r Reader
	r.Init(cfg)
	r.SetStreaming(streaming)
	defer r.Reset()
	var o outcome
	for len(stream) > 0 && o.err == nil {
		size := cuts(len(stream))
		b := bytes.Clone(stream[:size])
		stream = stream[size:]
		for {
			ev, ok, n, err := r.Next(b)
			if err != nil {
				o.err = err
				if ok || n != 0 {
					t.Fatalf("an error came with ok %v and %d bytes", ok, n)
				}
				break
			}
			if !ok {
				if n != len(b) {
					t.Fatalf("%d of %d bytes taken without an event", n, len(b))
				}
				break
			}
			b = b[n:]
			o.add(t, ev, streaming)
		}
	}
	o.inside, o.buffered = r.InMessage(), r.Buffered()
	if o.err != nil {
		if _, ok, n, err := r.Next(masked(0x81, "more")); ok || n != 0 || err != o.err {
			t.Fatalf("after %v came %v, %d, %v", o.err, ok, n, err)
		}
		if r.pending != nil {
			t.Fatal("a failed reader keeps a buffer")
		}
	}
	return o
}

func (o *outcome) add(t *testing.T, ev Event, streaming bool) {
	t.Helper()
	switch {
	case ev.OpCode.IsControl():
		o.events = append(o.events, fmt.Sprintf("%v %v %q", ev.OpCode, ev.Compressed, ev.Payload))
		return
	case !ev.Fin && (!streaming || len(ev.Payload) == 0):
		t.Fatalf("piece %+v where there must be none", ev)
	}
	o.unended += string(ev.Payload)
	if ev.Fin {
		o.events = append(o.events, fmt.Sprintf("%v %v %q", ev.OpCode, ev.Compressed, o.unended))
		o.unended = ""
	}
}

func whole(left int) int  { return left }
func byByte(left int) int { return 1 }

func atRandom(rng *rand.Rand) func(int) int {
	return func(left int) int { return 1 + rng.IntN(min(left, 1+rng.IntN(200))) }
}

// checkSplits proves that the cuts do not matter, in both modes.
func checkSplits(t *testing.T, cfg *ReaderConfig, stream []byte, rng *rand.Rand) outcome {
	t.Helper()
	var first outcome
	for _, streaming := range []bool{false, true} {
		want := read(t, cfg, streaming, stream, whole)
		for i, cuts := range []func(int) int{byByte, atRandom(rng), atRandom(rng)} {
			got := read(t, cfg, streaming, stream, cuts)
			if streaming && want.err != nil {
				// How much of a bad message got out depends on the cuts.
				want.unended, got.unended = "", ""
			}
			if got.String() != want.String() {
				t.Fatalf("streaming %v, stream %x\nwhole:  %v\ncut %d: %v", streaming, stream, want, i, got)
			}
		}
		if !streaming {
			first = want
		}
	}
	return first
}

// streamOf turns a script into a stream of frames that are mostly well-formed,
// with each rule broken now and then. It never ends inside of a header.
func streamOf(script []byte, role Role) []byte {
	var stream []byte
	for len(script) >= 3 {
		h := Header{
			OpCode: OpCode(script[0] & 0xf), Fin: script[0]&finBit != 0,
			Rsv1: script[0]&rsv1Bit != 0, Rsv2: script[0]&rsv2Bit != 0, Rsv3: script[0]&rsv3Bit != 0,
			Masked: (role == Server) != (script[1]&0xf == 0xf), Mask: testKey,
		}
		shape, size := script[1]>>4, int(script[2])
		script = script[3:]
		payload := bytes.Clone(script[:min(size, len(script))])
		script = script[len(payload):]
		if size >= 250 {
			payload = bytes.Repeat(payload, 3)
		}
		h.Length = int64(len(payload))
		var length []byte
		switch shape {
		case 11:
			h.Length++
		case 12:
			h.Length = 1<<63 - 1
		case 13:
			length = []byte{length16, 0, byte(len(payload))}
		case 14:
			length = []byte{length64, 0, 0, 0, 0, 0, 0, 0, byte(len(payload))}
		case 15:
			length = []byte{length64, 0x80, 0, 0, 0, 0, 0, 0, byte(len(payload))}
		}
		header := AppendHeader(nil, h)
		if length != nil {
			header = append(header[:1], length...)
			if h.Masked {
				header[1] |= maskBit
				header = append(header, h.Mask[:]...)
			}
		}
		if h.Masked {
			ws.Cipher(payload, h.Mask, 0)
		}
		stream = append(append(stream, header...), payload...)
	}
	return stream
}

// randomScript writes a script for streamOf of a few frames.
func randomScript(rng *rand.Rand) []byte {
	texts := []string{"", "a", "hello", "aé€😀", "é", "\xe2\x82", "\xac", "\xf0\x9f", "\x98\x80", "\xed\xa0\x80", strings.Repeat("long ", 50)}
	inMessage := false
	var script []byte
	for range 1 + rng.IntN(12) {
		first := []byte{0x81, 0x82, 0x01, 0x02, 0x89, 0x8a, 0xc1}[rng.IntN(7)]
		switch roll := rng.IntN(40); {
		case roll == 0:
			first = byte(rng.Uint32())
		case roll == 1:
			first = 0x88
		case inMessage && roll < 30:
			first = []byte{0x00, 0x00, 0x80, 0x89}[rng.IntN(4)]
		}
		if first&0x8 == 0 {
			inMessage = first&finBit == 0
		}
		var shape byte
		if rng.IntN(30) == 0 {
			shape = byte(rng.Uint32())
		}
		payload := texts[rng.IntN(len(texts))]
		if first&0x8 != 0 {
			payload = texts[rng.IntN(4)]
		}
		script = append(script, first, shape, byte(len(payload)))
		script = append(script, payload...)
	}
	return script
}

// F19
func TestCutsChangeNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	clean, failed := 0, make(map[error]int)
	for i := range 4000 {
		cfg := &ReaderConfig{Rsv1: i%2 == 0, MaxMessage: []int64{0, -1, 300}[i%3], MaxFragments: []int{0, 3}[i/3%2]}
		if i%7 == 0 {
			cfg.Role = Client
		}
		stream := streamOf(randomScript(rng), cfg.Role)
		stream = stream[:len(stream)-rng.IntN(min(len(stream), 4))]
		o := checkSplits(t, cfg, stream, rng)
		if o.err == nil {
			clean++
		} else {
			failed[o.err]++
		}
	}
	// The property is worth something only if the streams reach every rule.
	if clean < 400 || len(failed) < 13 {
		t.Errorf("%d streams were clean, the others met only these rules: %v", clean, failed)
	}
}

// F19
func FuzzReader(f *testing.F) {
	for _, script := range []string{
		"\x81\x00\x05hello\x89\x00\x02hi",
		"\x01\x00\x03a\xc3\xa9\x89\x00\x00\x80\x00\x01b",
		"\x01\x00\x01\xe2\x00\x00\x01\x82\x80\x00\x01\xac",
		"\xc1\x00\x03\xff\xff\xff\x88\x00\x02\x03\xe8",
		"\x82\xd0\x03abc", "\x82\xe0\x03abc", "\x82\xf0\x03abc", "\x82\xc0\x03abc", "\x82\xb0\x03abc",
		"\x80\x00\x00", "\x02\x00\x00\x02\x00\x00", "\x09\x00\x00", "\x83\x00\x00", "\x82\x0f\x00", "\xa2\x00\x00",
	} {
		f.Add([]byte(script), true, uint8(0), uint64(1))
		f.Add([]byte(script), true, uint8(3), uint64(2))
	}
	f.Add(masked(0x81, "hello"), false, uint8(0), uint64(3))
	f.Fuzz(func(t *testing.T, stream []byte, scripted bool, options uint8, seed uint64) {
		cfg := &ReaderConfig{Role: Role(options & 1), Rsv1: options&2 != 0, MaxMessage: int64(options&4) * 50, MaxFragments: int(options & 8)}
		if scripted {
			stream = streamOf(stream, cfg.Role)
		}
		checkSplits(t, cfg, stream, rand.New(rand.NewPCG(seed, 0)))
	})
}
