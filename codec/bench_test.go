package codec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkParseHeader(b *testing.B) {
	frame := AppendMaskedFrame(nil, Binary, true, make([]byte, 1000))
	for b.Loop() {
		if _, n, err := ParseHeader(frame); n == 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, op := range []OpCode{Binary, Text} {
		for _, size := range []int{64, 1 << 10, 16 << 10} {
			b.Run(fmt.Sprintf("%v/%d", op, size), func(b *testing.B) {
				// A zero mask key leaves the frame as it is, so that it can be read again.
				frame := AppendHeader(nil, Header{OpCode: op, Fin: true, Masked: true, Length: int64(size)})
				frame = append(frame, bytes.Repeat([]byte("a"), size)...)
				var r Reader
				r.Init(new(ReaderConfig))
				b.SetBytes(int64(size))
				for b.Loop() {
					if _, ok, _, err := r.Next(frame); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
			})
		}
	}
}

// BenchmarkNextInTwoReads cuts each message, so that it goes through a pooled
// buffer.
func BenchmarkNextInTwoReads(b *testing.B) {
	const size = 1 << 10
	frame := AppendHeader(nil, Header{OpCode: Binary, Fin: true, Masked: true, Length: size})
	frame = append(frame, make([]byte, size)...)
	var r Reader
	r.Init(new(ReaderConfig))
	b.SetBytes(size)
	for b.Loop() {
		if _, ok, _, err := r.Next(frame[:size/2]); ok || err != nil {
			b.Fatal(ok, err)
		}
		if _, ok, _, err := r.Next(frame[size/2:]); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkAppendMaskedFrame(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			payload := make([]byte, size)
			dst := make([]byte, 0, size+MaxHeaderSize)
			b.SetBytes(int64(size))
			for b.Loop() {
				dst = AppendMaskedFrame(dst[:0], Binary, true, payload)
			}
		})
	}
}

// benchMessages calls f with chat messages of different sizes.
func benchMessages(b *testing.B, f func(b *testing.B, messages [][]byte, takeover bool)) {
	for _, size := range []int{64, 1 << 10, 16 << 10} {
		rng := rand.New(rand.NewPCG(1, 2))
		messages := make([][]byte, 256) // more than a window holds
		for i := range messages {
			messages[i] = chat(rng, size)
		}
		for _, takeover := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/takeover=%v", size, takeover), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				f(b, messages, takeover)
			})
		}
	}
}

func BenchmarkDeflate(b *testing.B) {
	benchMessages(b, func(b *testing.B, messages [][]byte, takeover bool) {
		d := NewDeflater(MaxWindowBits)
		var window *Window
		if takeover {
			window = NewSendWindow(MaxWindowBits)
		}
		dst := make([]byte, 0, 32<<10)
		from, to := 0, 0
		for i := 0; b.Loop(); i++ {
			p := messages[i%len(messages)]
			from += len(p)
			to += len(d.AppendMessage(dst, p, window))
		}
		b.ReportMetric(float64(from)/float64(to), "ratio")
	})
}

func BenchmarkInflate(b *testing.B) {
	benchMessages(b, func(b *testing.B, messages [][]byte, takeover bool) {
		d, f := NewDeflater(MaxWindowBits), NewInflater()
		var sent, received *Window
		if takeover {
			sent, received = NewSendWindow(MaxWindowBits), NewWindow(MaxWindowBits)
		}
		var packed [][]byte
		for range 2 { // the second round refers to the end of the first
			packed = packed[:0]
			for _, p := range messages {
				packed = append(packed, d.AppendMessage(nil, p, sent))
			}
		}
		if takeover {
			for _, p := range messages {
				received.add(p)
			}
		}
		for i := 0; b.Loop(); i++ {
			if _, err := f.Inflate(packed[i%len(packed)], received, InflateLimit{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
