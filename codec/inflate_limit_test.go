package codec

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// F10 after inflating
func TestInflatedMessageMayReachTheLimitButNotPassIt(t *testing.T) {
	f := NewInflater()
	for _, limit := range []int{1, 2, 100, minScratch - 1, minScratch, minScratch + 1, maxScratch - 1, maxScratch, maxScratch + 1, topScratch - 1, topScratch, topScratch + 1, 98_304, 100_000, 131_072, 1 << 20} {
		for _, fill := range [][]byte{[]byte("a"), []byte("abc"), chat(rand.New(rand.NewPCG(7, 8)), 5000)} {
			long := bytes.Repeat(fill, limit/len(fill)+2)
			for _, level := range []int{0, 1, 9} {
				l := InflateLimit{MaxMessage: int64(limit), MaxRatio: -1}
				got, err := f.Inflate(stockDeflate(long[:limit], level, nil), nil, l)
				if err != nil || !bytes.Equal(got, long[:limit]) {
					t.Fatalf("limit %d, level %d: %d bytes, %v", limit, level, len(got), err)
				}
				got, err = f.Inflate(stockDeflate(long[:limit+1], level, nil), nil, l)
				if !errors.Is(err, ErrMessageTooBig) || got != nil {
					t.Fatalf("limit %d, level %d: one byte over is %d bytes, %v", limit, level, len(got), err)
				}
			}
		}
	}
}

// S-c: without a ratio 5 MiB of one byte are a message as any other.
func TestRatioIsLookedAtBeyond64KiBWhereItIsSet(t *testing.T) {
	f := NewInflater()
	for _, tt := range []struct {
		size, ratio int
		want        error
	}{
		{ratioFrom, 2, nil},
		{ratioFrom + 1, 2, ErrInflateRatio},
		{ratioFrom + 1, 0, nil},
		{ratioFrom + 1, -1, nil},
		{5 << 20, 0, nil},
		{5 << 20, 200, ErrInflateRatio},
	} {
		p := stockDeflate(make([]byte, tt.size), 9, nil)
		if _, err := f.Inflate(p, nil, InflateLimit{MaxMessage: -1, MaxRatio: tt.ratio}); !errors.Is(err, tt.want) {
			t.Errorf("%d bytes of %d with ratio %d: %v, want %v", tt.size, len(p), tt.ratio, err, tt.want)
		}
	}
	message := append(chat(rand.New(rand.NewPCG(9, 1)), 600_000), make([]byte, 600_000)...)
	p := stockDeflate(message, 9, nil)
	late := append(chat(rand.New(rand.NewPCG(9, 1)), 60_000), make([]byte, 30_000)...)
	if _, err := f.Inflate(stockDeflate(late, 9, nil), nil, InflateLimit{MaxMessage: -1, MaxRatio: 4}); !errors.Is(err, ErrInflateRatio) {
		t.Errorf("zeros at the end: %v", err)
	}
	exact := len(message)/len(p) + 1
	if _, err := f.Inflate(p, nil, InflateLimit{MaxMessage: -1, MaxRatio: exact}); err != nil {
		t.Errorf("%d bytes of %d with ratio %d: %v", len(message), len(p), exact, err)
	}
	if _, err := f.Inflate(p, nil, InflateLimit{MaxMessage: -1, MaxRatio: exact - 1}); !errors.Is(err, ErrInflateRatio) {
		t.Errorf("%d bytes of %d with ratio %d: %v", len(message), len(p), exact-1, err)
	}
}
