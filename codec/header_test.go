package codec

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func TestHeaderSurvivesEncoding(t *testing.T) {
	for _, length := range []int64{0, 1, 125, 126, 127, 0xffff, 0x10000, 1 << 40, math.MaxInt64} {
		for first := range 256 {
			for _, masked := range []bool{false, true} {
				want := Header{
					OpCode: OpCode(first & 0xf),
					Fin:    first&0x80 != 0,
					Rsv1:   first&0x40 != 0, Rsv2: first&0x20 != 0, Rsv3: first&0x10 != 0,
					Masked: masked, Length: length,
				}
				if masked {
					want.Mask = [4]byte{1, 2, 3, 4}
				}
				b := AppendHeader([]byte("x"), want)[1:]
				got, n, err := ParseHeader(append(slices.Clone(b), "payload"...))
				if got != want || n != len(b) || err != nil {
					t.Fatalf("ParseHeader(%x) = %+v, %d, %v; want %+v, %d", b, got, n, err, want, len(b))
				}
				for short := range len(b) {
					if got, n, err := ParseHeader(b[:short]); got != (Header{}) || n != 0 || err != nil {
						t.Fatalf("ParseHeader(%x) = %+v, %d, %v; want more bytes asked for", b[:short], got, n, err)
					}
				}
			}
		}
	}
}

// The bytes are those of RFC 6455 section 5.7.
func TestHeadersOfTheRFC(t *testing.T) {
	for _, tt := range []struct {
		bytes string
		want  Header
	}{
		{"\x81\x05", Header{OpCode: Text, Fin: true, Length: 5}},
		{"\x81\x85\x37\xfa\x21\x3d", Header{OpCode: Text, Fin: true, Masked: true, Mask: [4]byte{0x37, 0xfa, 0x21, 0x3d}, Length: 5}},
		{"\x01\x03", Header{OpCode: Text, Length: 3}},
		{"\x80\x02", Header{OpCode: Continuation, Fin: true, Length: 2}},
		{"\x82\x7e\x01\x00", Header{OpCode: Binary, Fin: true, Length: 256}},
		{"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", Header{OpCode: Binary, Fin: true, Length: 65536}},
	} {
		got, n, err := ParseHeader([]byte(tt.bytes))
		if got != tt.want || n != len(tt.bytes) || err != nil {
			t.Errorf("ParseHeader(%x) = %+v, %d, %v; want %+v", tt.bytes, got, n, err, tt.want)
		}
		if b := AppendHeader(nil, tt.want); string(b) != tt.bytes {
			t.Errorf("AppendHeader(%+v) = %x, want %x", tt.want, b, tt.bytes)
		}
	}
}

// F01, F02
func TestLengthsMustBeShortestAndBelow2To63(t *testing.T) {
	for _, tt := range []struct {
		bytes string
		want  error
	}{
		{"\x82\x7e\x00\x00", errNonMinimalLength},
		{"\x82\xfe\x00\x7d", errNonMinimalLength},
		{"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x05", errNonMinimalLength},
		{"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff", errNonMinimalLength},
		{"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", errLengthBit63},
		{"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", errLengthBit63},
		{"\x82\x7e\x00\x7e", nil},
		{"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", nil},
		{"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", nil},
	} {
		_, n, err := ParseHeader([]byte(tt.bytes))
		if !errors.Is(err, tt.want) || (n == 0) != (tt.want != nil) {
			t.Errorf("ParseHeader(%x) = _, %d, %v; want %v", tt.bytes, n, err, tt.want)
		}
	}
}

// A header takes as many bytes as Size says.
func TestHeaderSize(t *testing.T) {
	for _, length := range []int64{0, 1, 125, 126, 127, 65535, 65536, math.MaxInt64} {
		for _, masked := range []bool{false, true} {
			h := Header{OpCode: Binary, Fin: true, Masked: masked, Length: length}
			if n := len(AppendHeader(nil, h)); n != h.Size() {
				t.Errorf("%+v takes %d bytes, and Size says %d", h, n, h.Size())
			}
		}
	}
}
