package codec

import (
	"bytes"
	"fmt"
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
