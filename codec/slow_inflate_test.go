package codec

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
)

// slowInflater is the oracle: RFC 1951 read out bit by bit.
type slowInflater struct {
	in      []byte
	bit     int // bits taken
	out     []byte
	context int // bytes of out that are of earlier messages
	far     int // the largest distance met
}

var errSlow = errors.New("not a compressed message")

// slowInflate inflates the message p, which follows the messages in context. far
// is the largest distance it refers back.
func slowInflate(p, context []byte) (out []byte, far int, err error) {
	s := &slowInflater{in: p, out: bytes.Clone(context), context: len(context)}
	defer func() {
		if r := recover(); r != nil {
			if r != errSlow {
				panic(r)
			}
			out, far, err = nil, 0, errSlow
		}
	}()
	s.message()
	return s.out[len(context):], s.far, nil
}

func (s *slowInflater) take(n int) (v int) {
	for i := range n {
		s.demand(s.bit < 8*len(s.in))
		v |= int(s.in[s.bit/8]>>(s.bit%8)&1) << i
		s.bit++
	}
	return v
}

func (s *slowInflater) demand(ok bool) {
	if !ok {
		panic(errSlow)
	}
}

func (s *slowInflater) align() (ended bool) {
	s.bit = (s.bit + 7) &^ 7
	return s.bit == 8*len(s.in)
}

func (s *slowInflater) message() {
	for {
		final := s.take(1) == 1
		switch s.take(2) {
		case 0:
			if s.align() {
				return
			}
			n := s.take(16)
			s.demand(s.take(16) == n^0xffff)
			for range n {
				s.out = append(s.out, byte(s.take(8)))
			}
		case 1:
			lengths := slices.Concat(slices.Repeat([]int{8}, 144), slices.Repeat([]int{9}, 112), slices.Repeat([]int{7}, 24), slices.Repeat([]int{8}, 8))
			s.block(s.code(lengths), s.code(slices.Repeat([]int{5}, 32)))
		case 2:
			s.block(s.codes())
		default:
			s.demand(false)
		}
		if final && s.align() {
			return
		}
	}
}

// slowCode maps the value of each code, with a one before it, to its symbol.
type slowCode map[int]int

func (s *slowInflater) code(lengths []int) slowCode {
	code := make(slowCode)
	next := 0
	for n := 1; n <= 15; n++ {
		for symbol, length := range lengths {
			if length == n {
				code[1<<n|next] = symbol
				next++
			}
		}
		s.demand(next <= 1<<n)
		next <<= 1
	}
	_, alone := code[1<<1]
	s.demand(next == 1<<16 || len(code) == 0 || alone && len(code) == 1)
	return code
}

func (s *slowInflater) symbol(code slowCode) int {
	v := 1
	for range 15 {
		v = v<<1 | s.take(1)
		if symbol, ok := code[v]; ok {
			return symbol
		}
	}
	panic(errSlow)
}

func (s *slowInflater) codes() (literals, distances slowCode) {
	nl, nd, nc := s.take(5)+257, s.take(5)+1, s.take(4)+4
	s.demand(nl <= 286 && nd <= 30)
	lengths := make([]int, 19)
	for i := range nc {
		lengths[[]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[i]] = s.take(3)
	}
	code := s.code(lengths)
	lengths = nil
	for len(lengths) < nl+nd {
		switch symbol := s.symbol(code); symbol {
		case 16:
			s.demand(len(lengths) > 0)
			lengths = append(lengths, slices.Repeat(lengths[len(lengths)-1:], 3+s.take(2))...)
		case 17:
			lengths = append(lengths, make([]int, 3+s.take(3))...)
		case 18:
			lengths = append(lengths, make([]int, 11+s.take(7))...)
		default:
			lengths = append(lengths, symbol)
		}
	}
	s.demand(len(lengths) == nl+nd)
	return s.code(lengths[:nl]), s.code(lengths[nl:])
}

func (s *slowInflater) block(literals, distances slowCode) {
	for {
		symbol := s.symbol(literals)
		switch {
		case symbol < 256:
			s.out = append(s.out, byte(symbol))
			continue
		case symbol == 256:
			return
		}
		s.demand(symbol <= 285)
		length, distance := 258, 0
		if symbol < 285 {
			length = slowExtra(symbol-257, 4, 3, s)
		}
		symbol = s.symbol(distances)
		s.demand(symbol < 30)
		distance = slowExtra(symbol, 2, 1, s)
		s.demand(distance <= len(s.out))
		s.far = max(s.far, distance)
		for range length {
			s.out = append(s.out, s.out[len(s.out)-distance])
		}
	}
}

// slowExtra computes what a table of RFC 1951 §3.2.5 says: step symbols for each
// number of extra bits, the first two groups having none.
func slowExtra(symbol, step, least int, s *slowInflater) int {
	for i := range symbol {
		least += 1 << max(i/step-1, 0)
	}
	return least + s.take(max(symbol/step-1, 0))
}

// stockInflate is compress/flate of the standard library.
func stockInflate(p, context []byte) ([]byte, error) {
	in := io.MultiReader(bytes.NewReader(p), bytes.NewReader([]byte("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	return io.ReadAll(flate.NewReaderDict(in, context))
}

// stockDeflate is compress/flate of the standard library.
func stockDeflate(p []byte, level int, context []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, level, context)
	if err != nil {
		panic(err)
	}
	w.Write(p)
	w.Flush()
	return b.Bytes()[:b.Len()-len(deflateTail)]
}

// chat returns about what a chat service sends: JSON of size bytes.
func chat(rng *rand.Rand, size int) []byte {
	words := []string{"hello", "the", "a", "server", "loop", "why", "not", "message", "tomorrow", "anyone", "seen", "this",
		"before", "release", "is", "broken", "again", "thanks", "ok", "sure", "I", "think", "we", "should", "come", "out", "to", "every", "one"}
	var b bytes.Buffer
	for b.Len() < size {
		fmt.Fprintf(&b, `{"id":"%016x","room":"general-%d","user":{"id":%d,"name":"%s%d"},"ts":17%011d,"text":"`,
			rng.Uint64(), rng.IntN(5), rng.IntN(100_000), words[rng.IntN(len(words))], rng.IntN(99), rng.Int64N(1e11))
		for range 5 + rng.IntN(15) {
			b.WriteString(words[rng.IntN(len(words))] + " ")
		}
		b.WriteString(`"},`)
	}
	return b.Bytes()[:size]
}

// bomb returns a message that inflates to size bytes of zero, at more than 1000
// to one.
func bomb(size int) []byte {
	const part = 1 << 20
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	zeros := make([]byte, part)
	w.Write(zeros)
	w.Flush()
	first := b.Len()
	w.Write(zeros)
	w.Flush()
	again := b.Bytes()[first:] // it refers back to zeros only
	p := slices.Concat(b.Bytes()[:first], bytes.Repeat(again, size/part-1))
	return p[:len(p)-len(deflateTail)]
}
