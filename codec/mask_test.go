package codec

import (
	"bytes"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// xorBytes is RFC 6455 section 5.3 to the letter.
func xorBytes(p []byte, key [4]byte, offset int) {
	for i := range p {
		p[i] ^= key[(offset+i)%4]
	}
}

// F20
func TestMaskKernelEqualsByteWiseXOR(t *testing.T) {
	const most, guard = 300, 64
	key := [4]byte{0x12, 0x80, 0xff, 0x37}
	plain := make([]byte, most)
	for i := range plain {
		plain[i] = byte(i * 7)
	}
	for offset := range 64 {
		want := bytes.Clone(plain)
		xorBytes(want, key, offset)
		for alignment := range 64 {
			b := make([]byte, alignment+most+guard)
			for length := range most + 1 {
				clear(b)
				p := b[alignment : alignment+length]
				copy(p, plain)
				ws.Cipher(p, key, offset)
				if !bytes.Equal(p, want[:length]) {
					t.Fatalf("offset %d, alignment %d, length %d: got %x, want %x", offset, alignment, length, p, want[:length])
				}
				clear(p)
				if !bytes.Equal(b, make([]byte, len(b))) {
					t.Fatalf("offset %d, alignment %d, length %d: wrote outside of the payload", offset, alignment, length)
				}
			}
		}
	}
}

// F20
func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x37fa213d), uint8(0), uint8(0))
	f.Add(bytes.Repeat([]byte("0123456789abcdef"), 20), uint32(0xff00ff01), uint8(3), uint8(5))
	f.Add([]byte{}, uint32(1), uint8(63), uint8(63))
	f.Fuzz(func(t *testing.T, p []byte, word uint32, offset, cut uint8) {
		key := [4]byte{byte(word), byte(word >> 8), byte(word >> 16), byte(word >> 24)}
		want := bytes.Clone(p)
		xorBytes(want, key, int(offset))
		got := bytes.Clone(p)
		at := min(int(cut), len(got))
		ws.Cipher(got[:at], key, int(offset))
		ws.Cipher(got[at:], key, int(offset)+at)
		if !bytes.Equal(got, want) {
			t.Fatalf("key %x, offset %d, cut at %d: got %x, want %x", key, offset, at, got, want)
		}
	})
}

func TestMaskKeysAreFreshInEveryGoroutine(t *testing.T) {
	const callers, each = 8, 1000
	keys := make([][each][4]byte, callers)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			for j := range keys[i] {
				keys[i][j] = NewMaskKey()
			}
		})
	}
	wg.Wait()
	seen := make(map[[4]byte]int)
	for i := range keys {
		for _, key := range keys[i] {
			seen[key]++
		}
	}
	// Among 8000 random keys about 0.007 pairs are equal by chance; five of them
	// come about once in 10^13 runs, a block used twice repeats hundreds.
	if repeated := callers*each - len(seen); repeated >= 5 {
		t.Errorf("%d of %d keys came more than once", repeated, callers*each)
	}
}
