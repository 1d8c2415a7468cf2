package main

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
)

// FuzzGnetHeader compares the parser with gobwas's for every input.
func FuzzGnetHeader(f *testing.F) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		f.Add(masked(ws.OpBinary, letters('a', size))[:min(14, size+6)])
	}
	f.Add([]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1 {
			b[1] |= 0x80 // the parser is for masked frames
		}
		h, n := parseGnetHeader(b)
		r := bytes.NewReader(b)
		want, err := ws.ReadHeader(r)
		switch {
		case err == ws.ErrHeaderLengthMSB:
			if h.Length >= 0 {
				t.Fatalf("length %d of % x", h.Length, b)
			}
		case err != nil:
			if n != 0 {
				t.Fatalf("%d bytes of % x, where gobwas says %v", n, b, err)
			}
		case h != want || n != len(b)-r.Len():
			t.Fatalf("% x: %+v in %d bytes, want %+v in %d", b, h, n, want, len(b)-r.Len())
		}
	})
}
