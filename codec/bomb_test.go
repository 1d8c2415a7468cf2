package codec

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
)

// held returns how many bytes of heap are in use at most while f runs, above
// what was before. f calls look where it holds most.
func held(f func(look func())) int64 {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // the first leaves what is in pools
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most := heap(), int64(0)
	f(func() { most = max(most, heap()-before) })
	return most
}

// mostInflater is what an Inflater keeps: one for all connections of a loop.
const mostInflater = topScratch + 6<<10

// usedInflater returns an Inflater that has all the memory it keeps.
func usedInflater(t *testing.T) *Inflater {
	t.Helper()
	f, window := NewInflater(), NewWindow(MaxWindowBits)
	window.add(make([]byte, maxWindow))
	p := stockDeflate(chat(rand.New(rand.NewPCG(1, 2)), maxScratch), 6, nil)
	if _, err := f.Inflate(p, window, InflateLimit{}); err != nil {
		t.Fatal(err)
	}
	return f
}

// F13
func TestDeflateBombIsRefusedWithinTheLimits(t *testing.T) {
	p := bomb(1 << 30)
	if len(p) < 1<<20-1<<16 || len(p) > 1<<20+1<<16 {
		t.Fatalf("the bomb has %d bytes", len(p))
	}
	for _, tt := range []struct {
		name  string
		limit InflateLimit
		want  error
	}{
		{"defaults", InflateLimit{}, ErrMessageTooBig},
		{"by size", InflateLimit{MaxRatio: -1}, ErrMessageTooBig},
		{"by ratio", InflateLimit{MaxRatio: 200}, ErrInflateRatio},
		{"large limit", InflateLimit{MaxMessage: 64 << 20}, ErrMessageTooBig},
		{"large limit, by ratio", InflateLimit{MaxMessage: 64 << 20, MaxRatio: 200}, ErrInflateRatio},
		{"small limit", InflateLimit{MaxMessage: 100_000}, ErrMessageTooBig},
	} {
		f := usedInflater(t)
		var out []byte
		var err error
		cost := allocated(func() { out, err = f.Inflate(p, nil, tt.limit) })
		var fault *ProtocolError
		if !errors.Is(err, tt.want) || !errors.As(err, &fault) || fault.Code != StatusMessageTooBig || out != nil {
			t.Errorf("%s: %d bytes, %v; want %v", tt.name, len(out), err, tt.want)
		}
		if most := min(tt.limit.withDefaults().MaxMessage, 1<<20) + 64<<10; cost > uint64(most) {
			t.Errorf("%s: refusing the bomb cost %d bytes", tt.name, cost)
		}
		if f.Size() > mostInflater {
			t.Errorf("%s: the Inflater keeps %d bytes", tt.name, f.Size())
		}
	}
}

// F13: what the Reader keeps of the compressed bytes counts as well.
func TestFragmentedDeflateBombHoldsNoMoreThanTheLimit(t *testing.T) {
	const limit = 1<<20 + 1<<16
	p := bomb(1 << 30)
	for _, size := range []int{len(p), 100_000, 1000} {
		f := usedInflater(t)
		cost := held(func(look func()) {
			var r Reader
			r.Init(&ReaderConfig{Rsv1: true, MaxMessage: limit})
			defer r.Reset()
			rest, first := p, byte(0x41)
			for rest != nil {
				part := rest[:min(size, len(rest))]
				if rest = rest[len(part):]; len(rest) == 0 {
					rest, first = nil, first|finBit
				}
				frame := masked(first, string(part))
				first = 0
				for len(frame) > 0 {
					ev, ok, n, err := r.Next(frame[:min(1000, len(frame))])
					if err != nil || ok && !ev.Compressed || ok != (rest == nil && n == len(frame)) {
						t.Fatal(ev.OpCode, ok, n, err)
					}
					frame = frame[n:]
					if ok {
						frame = nil
						if _, err := f.Inflate(ev.Payload, nil, InflateLimit{MaxMessage: limit}); !errors.Is(err, ErrMessageTooBig) {
							t.Fatal(err)
						}
						look()
						runtime.KeepAlive(f)
					}
				}
			}
		})
		if cost > limit+8<<10 {
			t.Errorf("a bomb in fragments of %d bytes holds %d", size, cost)
		}
	}
}

func TestHonestLargeMessageCostsItsSize(t *testing.T) {
	message := chat(rand.New(rand.NewPCG(1, 2)), 700_000)
	p := stockDeflate(message, 6, nil)
	for _, limit := range []int64{700_000, 1 << 20, -1} {
		f := NewInflater()
		f.Inflate(bomb(1<<20), nil, InflateLimit{}) // the scratch is there
		var out []byte
		var err error
		cost := held(func(look func()) {
			out, err = f.Inflate(p, nil, InflateLimit{MaxMessage: limit})
			look()
			runtime.KeepAlive(f)
		})
		if err != nil || !bytes.Equal(out, message) {
			t.Fatal(len(out), err)
		}
		most := int64(1 << 20) // the next power of two, for the pool
		if limit == 700_000 {
			most = 700_000
		}
		if cost > most+16<<10 {
			t.Errorf("limit %d: %d bytes cost %d", limit, len(message), cost)
		}
		if f.Release(); f.Size() > mostInflater {
			t.Errorf("the Inflater keeps %d bytes", f.Size())
		}
	}
}

// R-b: what fits a pooled buffer is inflated once.
func TestMessagesUpTo1MiBInflateInOnePass(t *testing.T) {
	f := NewInflater()
	for _, tt := range []struct {
		size   int
		limit  int64
		passes int
	}{
		{100, 0, 1}, {maxScratch + 1, 0, 1}, {1<<20 - 1, 0, 1}, {1 << 20, 0, 1}, {1 << 20, -1, 1}, {1<<20 + 1, -1, 2}, {3 << 20, -1, 2},
		{128 << 10, 128 << 10, 1}, {100_000, 100_000, 2}, {512 << 10, 700_000, 1}, {512<<10 + 1, 700_000, 2},
	} {
		message := make([]byte, tt.size)
		copy(message[len(message)/2:], "not all are the same")
		p := stockDeflate(message, 9, nil)
		f.Begin(nil, InflateLimit{MaxMessage: tt.limit})
		spent, whole := Effort(0), false
		for !whole {
			n, done, err := f.Continue(p, 1)
			if err != nil || n > 64<<10 || n <= 0 && !done {
				t.Fatalf("%d spent for %d bytes, then %d, %v", spent, tt.size, n, err)
			}
			spent, whole = spent+n, done
		}
		least := Effort(tt.passes) * Effort(tt.size) / outsPerUnit
		if spent < least || spent > least+least/2+20_000 || !bytes.Equal(f.Message(), message) {
			t.Errorf("limit %d: %d bytes took an effort of %d, want about %d", tt.limit, tt.size, spent, least)
		}
	}
}
