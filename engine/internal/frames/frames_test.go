package frames

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

func newCompressor(variants ...Variant) *Compressor {
	c := &Compressor{MinFrame: 64, Counts: new(Counts)}
	for _, v := range variants {
		c.InUse[v].Add(1)
	}
	return c
}

// read returns the message of a frame, inflated.
func read(t *testing.T, frame *loop.Shared) (payload []byte, compressed bool) {
	t.Helper()
	r := new(codec.Reader)
	r.Init(&codec.ReaderConfig{Role: codec.Client, Rsv1: true, MaxMessage: -1})
	ev, ok, n, err := r.Next(bytes.Clone(frame.Bytes()))
	if err != nil || !ok || n != frame.Len() {
		t.Fatalf("a frame of %d bytes: %v, %v after %d", frame.Len(), ok, err, n)
	}
	if !ev.Compressed {
		return ev.Payload, false
	}
	inflated, err := codec.NewInflater().Inflate(ev.Payload, nil, codec.InflateLimit{MaxMessage: -1})
	if err != nil {
		t.Fatal(err)
	}
	return inflated, true
}

// Each variant has the same message. One that is small or does not shrink goes out plain.
func TestVariantsOfAMessage(t *testing.T) {
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for name, tt := range map[string]struct {
		payload []byte
		shrinks bool
	}{
		"small":              {[]byte("aaaaaaaaaaaaaaaa"), false},
		"text":               {[]byte(strings.Repeat("to be or not to be ", 100)), true},
		"longer than 64 KiB": {[]byte(strings.Repeat("to be or not to be ", 10000)), true},
		"noise":              {noise, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCompressor()
			m := New(codec.Binary, tt.payload, 0)
			for v := Plain; v < Variants; v++ {
				frame := m.In(v, c)
				payload, compressed := read(t, frame)
				if !bytes.Equal(payload, tt.payload) || compressed != (tt.shrinks && v != Plain) {
					t.Errorf("variant %d: %d bytes, compressed %v", v, len(payload), compressed)
				}
				if again := m.In(v, c); again != frame {
					t.Errorf("variant %d was made twice", v)
				}
				if !compressed && frame != m.Plain() {
					t.Errorf("variant %d is a copy of the plain frame", v)
				}
			}
		})
	}
}

// However many ask for a variant at the same time, it is compressed once.
func TestVariantIsMadeOnce(t *testing.T) {
	c, m := newCompressor(), New(codec.Text, []byte(strings.Repeat("again ", 1000)), 0)
	v := VariantOf(codec.MaxWindowBits)
	got := make([]*loop.Shared, 16)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = m.In(v, c) })
	}
	wg.Wait()
	for _, frame := range got {
		if frame != got[0] {
			t.Fatal("two frames for one variant")
		}
	}
	if n := c.Messages.Load(); n != 1 {
		t.Errorf("compressed %d times", n)
	}
}

// PackAhead makes what connections use of a large message, and nothing else.
func TestPackAhead(t *testing.T) {
	used, unused := VariantOf(codec.MaxWindowBits), VariantOf(codec.MinWindowBits)
	for name, tt := range map[string]struct {
		size int
		want uint64
	}{"large": {MaxInContext + 1, 1}, "small": {MaxInContext / 2, 0}} {
		t.Run(name, func(t *testing.T) {
			c := newCompressor(used)
			m := New(codec.Text, bytes.Repeat([]byte("a"), tt.size), 0)
			m.PackAhead(c)
			if n := c.Messages.Load(); n != tt.want {
				t.Fatalf("compressed %d times, want %d", n, tt.want)
			}
			m.In(used, c)
			if n := c.Messages.Load(); n != 1 {
				t.Errorf("compressed %d times with the variant in use", n)
			}
			m.In(unused, c)
			if n := c.Messages.Load(); n != 2 {
				t.Errorf("compressed %d times with both variants", n)
			}
		})
	}
	New(codec.Text, bytes.Repeat([]byte("a"), 2*MaxInContext), 0).PackAhead(nil) // a server without compression
}

// counter is a Keeper.
type counter struct{ kept map[*loop.Shared]int }

func (k *counter) Refer(frame *loop.Shared)  { k.kept[frame]++ }
func (k *counter) Forget(frame *loop.Shared) { k.kept[frame]-- }

// A Keeper hears of all compressed copies, also of those that are made later, and of none that
// is the plain frame.
func TestKeepersHearOfAllCopies(t *testing.T) {
	c, m := newCompressor(), New(codec.Text, []byte(strings.Repeat("again ", 1000)), 0)
	early, late := &counter{map[*loop.Shared]int{}}, &counter{map[*loop.Shared]int{}}
	first := m.In(VariantOf(codec.MinWindowBits), c)
	m.Keep(early)
	m.Keep(early)
	second := m.In(VariantOf(codec.MaxWindowBits), c)
	m.Keep(late)
	m.In(Plain, c)
	for _, frame := range []*loop.Shared{first, second} {
		if early.kept[frame] != 2 || late.kept[frame] != 1 {
			t.Errorf("kept %d and %d times, want 2 and 1", early.kept[frame], late.kept[frame])
		}
	}
	if len(early.kept) != 2 || len(late.kept) != 2 {
		t.Errorf("%d and %d copies, want 2", len(early.kept), len(late.kept))
	}
	m.Drop(early)
	m.Drop(late)
	for _, frame := range []*loop.Shared{first, second} {
		if early.kept[frame] != 1 || late.kept[frame] != 0 {
			t.Errorf("after Drop: kept %d and %d times, want 1 and 0", early.kept[frame], late.kept[frame])
		}
	}
}
