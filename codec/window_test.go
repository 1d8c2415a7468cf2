package codec

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestWindowHoldsNoMoreThanItsSize(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		window, size := NewWindow(bits), 1<<bits
		var all []byte
		for range 300 {
			p := chat(rng, rng.IntN(3)*rng.IntN(size)+rng.IntN(20))
			window.add(p)
			all = append(all, p...)
			held := min(size, len(all))
			if got := window.appendBack(nil, held, held); !bytes.Equal(got, all[len(all)-held:]) || len(window.ring) != held {
				t.Fatalf("%d bits: after %d bytes the window holds the wrong %d", bits, len(all), len(window.ring))
			}
			back := rng.IntN(held + 1)
			n := rng.IntN(back + 1)
			if got := window.appendBack(nil, back, n); !bytes.Equal(got, all[len(all)-back:][:n]) {
				t.Fatalf("%d bits: wrong %d bytes from %d back", bits, n, back)
			}
			if window.Size() > window.MaxSize() || window.Size() > max(2*len(all), minWindow)+64 {
				t.Fatalf("%d bits: %d bytes of memory for %d", bits, window.Size(), len(all))
			}
		}
		// The oldest byte that is there can be referred to, the one before cannot.
		for _, extra := range []int{0, 1} {
			p := stockDeflate(all[len(all)-size-extra:][:40], 9, all[len(all)-size-extra:])
			window := NewWindow(bits)
			window.add(all)
			if _, far, _ := slowInflate(p, all); far != size+extra && bits != MaxWindowBits {
				t.Fatalf("%d bits: the message refers %d back", bits, far)
			}
			_, err := NewInflater().Inflate(p, window, InflateLimit{})
			if want := extra == 1 && bits != MaxWindowBits; errors.Is(err, ErrInvalidDeflate) != want {
				t.Errorf("%d bits, %d over the window: %v", bits, extra, err)
			}
		}
	}
}

func TestWindowBitsOutOfRangePanic(t *testing.T) {
	for _, bits := range []int{-1, 0, 7, 16} {
		for _, f := range []func(){func() { NewWindow(bits) }, func() { NewDeflater(bits) }} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%d bits did not panic", bits)
					}
				}()
				f()
			}()
		}
	}
}
