package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	klauspost "github.com/klauspost/compress/flate"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestExamplesOfTheRFCInflate(t *testing.T) {
	for _, tt := range []struct {
		name, before, message, want string
	}{
		{"§7.2.3.1 one block", "", "f2 48 cd c9 c9 07 00", "Hello"},
		{"§7.2.3.2 sharing the window", "f2 48 cd c9 c9 07 00", "f2 00 11 00 00", "Hello"},
		{"§7.2.3.3 no compression", "", "00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"},
		{"§7.2.3.4 BFINAL", "", "f3 48 cd c9 c9 07 00 00", "Hello"},
		{"§7.2.3.5 two blocks", "", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"},
		{"§7.2.3.6 empty", "", "00", ""},
		{"§7.2.1 blocks after BFINAL", "", "f3 48 cd c9 c9 07 00 f3 48 cd c9 c9 07 00 00", "HelloHello"},
		{"§7.2.1 a block after BFINAL refers back", "", "f3 48 cd c9 c9 07 00 f2 00 11 00 00", "HelloHello"},
		{"BFINAL without the empty block", "", "f3 48 cd c9 c9 07 00", "Hello"},
		{"BFINAL on the empty block", "", "01", ""},
	} {
		f, window := NewInflater(), NewWindow(15)
		if tt.before != "" {
			if _, err := f.Inflate(unhex(tt.before), window, InflateLimit{}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := f.Inflate(unhex(tt.message), window, InflateLimit{})
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

// F14
func TestBadCompressedDataIs1007(t *testing.T) {
	bad := map[string][]byte{
		"nothing":                         {},
		"garbage":                         []byte("this is not compressed"),
		"reserved kind of block":          unhex("06"),
		"flush that was not cut off":      unhex("f2 48 cd c9 c9 07 00 00 00 ff ff"),
		"trailing octet":                  unhex("f2 48 cd c9 c9 07 00 00"),
		"garbage after a final block":     append(unhex("f3 48 cd c9 c9 07 00"), "garbage"...),
		"stored block short of its end":   unhex("00 05 00 fa ff 48 65 6c 6c"),
		"stored block short of its bytes": unhex("00 04 00 fb ff"), // the octets cut off would fit
		"lengths do not match":            unhex("00 05 00 fa fe 48 65 6c 6c 6f 00"),
		"distance before the start":       unhex("f2 00 11 00 00"),
		"fixed code that is not used":     unhex("1b 03 00"),
	}
	f := NewInflater()
	check := func(name string, p []byte) {
		t.Helper()
		got, err := f.Inflate(p, nil, InflateLimit{})
		var fault *ProtocolError
		if !errors.As(err, &fault) || fault.Code != StatusInvalidFramePayloadData || !errors.Is(err, ErrInvalidDeflate) || got != nil {
			t.Errorf("%s: %q, %v; want 1007", name, got, err)
		}
	}
	for name, p := range bad {
		check(name, p)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, level := range []int{-2, 1, 9} {
		whole := stockDeflate(chat(rng, 3000), level, nil)
		for cut := range whole {
			check(fmt.Sprintf("level %d cut off after %d bytes", level, cut), whole[:cut])
		}
	}
}

// Codes of all lengths, up to 15 bits.
func TestSkewedMessagesInflate(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 26))
	f := NewInflater()
	for symbols := 2; symbols < 24; symbols++ {
		var message []byte
		for a, b, c := 1, 1, 0; c < symbols; a, b, c = b, a+b, c+1 {
			message = append(message, bytes.Repeat([]byte{byte(c * 11)}, a)...)
		}
		rng.Shuffle(len(message), func(i, j int) { message[i], message[j] = message[j], message[i] })
		for _, level := range []int{-2, 1, 9} {
			got, err := f.Inflate(stockDeflate(message, level, nil), nil, InflateLimit{})
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%d symbols, level %d: %d bytes, %v", symbols, level, len(got), err)
			}
		}
	}
}

// What others write: each of its kinds of blocks, and windows.
func TestInflateReadsWhatKlauspostWrites(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	f := NewInflater()
	for level := -2; level <= 9; level++ {
		var b bytes.Buffer
		w, err := klauspost.NewWriter(&b, level)
		if err != nil {
			t.Fatal(err)
		}
		window := NewWindow(MaxWindowBits)
		for i := range 100 {
			message := chat(rng, rng.IntN(100*i+1))
			b.Reset()
			w.Write(message)
			w.Flush()
			got, err := f.Inflate(b.Bytes()[:b.Len()-len(deflateTail)], window, InflateLimit{})
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("level %d, message %d of %d bytes: %d bytes, %v", level, i, len(message), len(got), err)
			}
		}
	}
}

// bitWriter writes bits as deflate has them, lowest first.
type bitWriter struct {
	p []byte
	n int
}

func (w *bitWriter) add(v uint32, n int) {
	for i := range n {
		if w.n%8 == 0 {
			w.p = append(w.p, 0)
		}
		w.p[w.n/8] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
}

func (w *bitWriter) zeros(n int) {
	if n > 0 {
		w.add(1, 1)
		w.add(uint32(n-11), 7)
	}
}

// described adds an empty block whose codes are described for so many literals and
// distances: literal 0, the end and distance 0 have a code of one bit, what follows
// them has none.
func (w *bitWriter) described(literals, distances int) {
	w.describedUntil(literals, distances, 1)
}

func (w *bitWriter) describedUntil(literals, distances int, end uint32) {
	w.add(2<<1, 3)
	w.add(uint32(literals-257), 5)
	w.add(uint32(distances-1), 5)
	w.add(18-4, 4)
	// The code that describes: 0 for a length of 1, 1 for a run of zeros.
	for i := range 18 {
		w.add(map[int]uint32{2: 1, 17: 1}[i], 3)
	}
	w.add(0, 1)
	w.zeros(138)
	w.zeros(117)
	w.add(0, 1)
	w.zeros(literals - 257)
	w.add(0, 1)
	w.zeros(distances - 1)
	w.add(end, 1)
}

// describedBlock is a message of such a block. The end is written as the bit end.
func describedBlock(literals, distances int, end uint32) []byte {
	var w bitWriter
	w.describedUntil(literals, distances, end)
	w.add(0, 3)
	return w.p
}

func TestDescribedCodesAreBounded(t *testing.T) {
	f := NewInflater()
	f.Inflate(stockDeflate(chat(rand.New(rand.NewPCG(1, 2)), 5000), 9, nil), nil, InflateLimit{})
	for _, tt := range []struct {
		name string
		p    []byte
		ok   bool
	}{
		{"least", describedBlock(257, 1, 1), true},
		{"most", describedBlock(286, 30, 1), true},
		{"a literal too many", describedBlock(287, 30, 1), false},
		{"a distance too many", describedBlock(286, 31, 1), false},
		{"a run over the end", func() []byte {
			p := describedBlock(286, 30, 1)
			p[1] = p[1]&^0x1f | 28 // 29 distances, with the run for 30
			return p
		}(), false},
	} {
		if _, _, err := slowInflate(tt.p, nil); (err == nil) != tt.ok {
			t.Fatalf("%s: the slow inflater says %v", tt.name, err)
		}
		if _, err := f.Inflate(tt.p, nil, InflateLimit{}); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Matches of the greatest length, ending at each place around the end of the room.
func TestLongMatchesFillTheRoom(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	p := stockDeflate(bytes.Repeat([]byte("a"), 6000), 9, nil)
	for n := range 600 {
		before := chat(rng, n)
		whole := slices.Concat(stored(before), p, []byte(deflateTail), stored(make([]byte, 100)), []byte{0})
		got, err := NewInflater().Inflate(whole, nil, InflateLimit{})
		if err != nil || len(got) != n+6100 || !bytes.HasPrefix(got, before) || bytes.Count(got[n:n+6000], []byte("a")) != 6000 {
			t.Fatalf("%d bytes before: %d bytes, %v", n, len(got), err)
		}
	}
}

// stored is p as a block that is not compressed.
func stored(p []byte) []byte {
	n := len(p)
	return append([]byte{0, byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}, p...)
}

// checkInflate compares Inflate with the slow inflater, and the standard
// library's with both.
func checkInflate(t *testing.T, f *Inflater, p, context []byte) (ok bool) {
	t.Helper()
	window := NewWindow(MaxWindowBits)
	window.add(context)
	context = context[max(0, len(context)-1<<MaxWindowBits):]
	want, far, slowErr := slowInflate(p, context)
	given := bytes.Clone(p)
	got, err := f.Inflate(p, window, InflateLimit{MaxRatio: -1})
	if (err == nil) != (slowErr == nil) || !bytes.Equal(got, want) {
		t.Fatalf("%x after %d bytes: %d bytes %.100q, %v; the slow inflater: %d bytes %.100q, %v", p, len(context), len(got), got, err, len(want), want, slowErr)
	}
	if !bytes.Equal(p, given) {
		t.Fatal("Inflate wrote to the message")
	}
	if err != nil {
		return false
	}
	if far > 1<<MaxWindowBits {
		t.Fatalf("distance %d", far)
	}
	// It stops at a final block.
	if stock, err := stockInflate(p, context); err != nil || !bytes.HasPrefix(want, stock) {
		t.Fatalf("%x: the standard library: %.100q, %v; want %.100q", p, stock, err, want)
	}
	return true
}

func TestInflateAgreesWithTheSlowInflater(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	f := NewInflater()
	good, bad := 0, 0
	for i := range 1500 {
		context := chat(rng, rng.IntN(300))
		message := chat(rng, rng.IntN(2000))
		if i%3 == 0 {
			message = append(message, context...)
		}
		p := stockDeflate(message, i%12-2, context)
		for range rng.IntN(4) {
			p[rng.IntN(len(p))] ^= 1 << rng.IntN(8)
		}
		if checkInflate(t, f, p, context) {
			good++
		} else {
			bad++
		}
	}
	if good < 350 || bad < 350 {
		t.Errorf("%d messages were good, %d bad", good, bad)
	}
}

func TestLargeMessagesInflate(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	f := NewInflater()
	for _, size := range []int{maxScratch - 1, maxScratch, maxScratch + 1, topScratch - 1, topScratch, topScratch + 1, 100_000, 300_000, 1 << 20} {
		context := chat(rng, 1<<15)
		message := slices.Concat(context[10:], chat(rng, size))[:size]
		for _, level := range []int{0, 1, 9} {
			if !checkInflate(t, f, stockDeflate(message, level, context), context) {
				t.Errorf("%d bytes at level %d did not inflate", size, level)
			}
		}
	}
}

// inParts inflates p in parts, which lie elsewhere in memory each time. It drops
// the message once on the way and begins it anew.
func inParts(f *Inflater, p []byte, window *Window, limit InflateLimit, most Effort) ([]byte, error) {
	f.Begin(window, limit)
	for i := 0; ; i++ {
		if i == 2 {
			f.Begin(window, limit)
		}
		moved := bytes.Clone(p)
		_, whole, err := f.Continue(moved, most)
		clear(moved)
		if err != nil {
			return nil, err
		}
		if whole {
			return f.Message(), nil
		}
	}
}

// R-b: how a message is cut into parts changes nothing.
func TestInflateInPartsIsInflate(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	whole, parts := NewInflater(), NewInflater()
	for _, limit := range []int64{0, -1, 100_000, 300_000} {
		one, other := NewWindow(MaxWindowBits), NewWindow(MaxWindowBits)
		for range 60 {
			size := rng.IntN(1 << rng.IntN(22))
			p := stockDeflate(append(chat(rng, size/2), make([]byte, size/2)...), rng.IntN(10), nil)
			if rng.IntN(5) == 0 {
				p = p[:rng.IntN(len(p))]
			}
			l := InflateLimit{MaxMessage: limit, MaxRatio: rng.IntN(30)}
			want, wantErr := whole.Inflate(p, one, l)
			got, err := inParts(parts, p, other, l, Effort(1+rng.IntN(1+size/4)))
			if err != wantErr || !bytes.Equal(got, want) {
				t.Fatalf("limit %+v: %d bytes, %v; whole: %d bytes, %v", l, len(got), err, len(want), wantErr)
			}
			if !bytes.Equal(one.ring, other.ring) || one.next != other.next {
				t.Fatal("the windows differ")
			}
		}
	}
}

func FuzzInflate(f *testing.F) {
	rng := rand.New(rand.NewPCG(13, 14))
	f.Add(unhex("f2 48 cd c9 c9 07 00"), []byte(nil), uint32(0))
	f.Add(unhex("f3 48 cd c9 c9 07 00 f2 00 11 00 00"), []byte("Hello"), uint32(5))
	f.Add(bomb(16 << 20)[:3000], []byte(nil), uint32(2_000_000))
	for _, size := range []int{maxScratch, topScratch, topScratch + 1, 1 << 20, 1<<20 + 1} { // where the passes change
		f.Add(bomb(2 << 20)[:1000], []byte(nil), uint32(size))
		f.Add(stockDeflate(make([]byte, size), 9, nil), []byte(nil), uint32(size))
		f.Add(append(stockDeflate(make([]byte, size-2), 9, nil), 0, 0, 0, 0xff, 0xff, 1, 2, 0, 0xfd, 0xff, 'a', 'b', 0), []byte("before"), uint32(size))
	}
	f.Add(describedBlock(286, 30, 1), []byte(nil), uint32(0))
	var skewed []byte // codes of all lengths
	for a, b, c := 1, 1, byte(0); c < 18; a, b, c = b, a+b, c+1 {
		skewed = append(skewed, bytes.Repeat([]byte{c}, a)...)
	}
	rng.Shuffle(len(skewed), func(i, j int) { skewed[i], skewed[j] = skewed[j], skewed[i] })
	f.Add(stockDeflate(skewed, -2, nil)[:400], []byte(nil), uint32(0))
	f.Add(append([]byte("\x03\x00\x03\x00\x01\x00\x00\xff\xff"), stockDeflate(skewed[:300], 9, nil)...), skewed, uint32(1000))
	for level := -2; level <= 9; level++ {
		context := chat(rng, 200)
		f.Add(stockDeflate(chat(rng, 400), level, context), context, uint32(390+level))
	}
	f.Fuzz(func(t *testing.T, p, context []byte, limit uint32) {
		inflater := NewInflater()
		if len(p) < 500 { // at most 1 MiB comes out
			checkInflate(t, inflater, p, context)
		}
		if limit %= 3 << 20; limit == 0 {
			return
		}
		window := NewWindow(MaxWindowBits)
		window.add(context)
		whole, wholeErr := NewInflater().Inflate(p, window, InflateLimit{MaxRatio: -1})
		window.Reset()
		window.add(context)
		got, err := inflater.Inflate(p, window, InflateLimit{MaxMessage: int64(limit), MaxRatio: 10})
		switch {
		case len(got) > int(limit) || len(got) > ratioFrom && len(got) > 10*len(p):
			t.Fatalf("%d bytes from %d with limit %d", len(got), len(p), limit)
		case wholeErr == nil && err == nil && !bytes.Equal(got, whole):
			t.Fatal("the limits changed the message")
		case wholeErr == nil && err != nil && len(whole) <= ratioFrom && len(whole) <= int(limit):
			t.Fatalf("%d bytes within limit %d: %v", len(whole), limit, err)
		}
		got = bytes.Clone(got)
		window.Reset()
		window.add(context)
		parts, partsErr := inParts(inflater, p, window, InflateLimit{MaxMessage: int64(limit), MaxRatio: 10}, 4096+Effort(limit%50_000))
		if partsErr != err || !bytes.Equal(parts, got) {
			t.Fatalf("in parts: %d bytes, %v; whole: %d bytes, %v", len(parts), partsErr, len(got), err)
		}
	})
}
