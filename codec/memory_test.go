package codec

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// allocated returns how many bytes f allocates, those already free again
// included. Nothing else may run meanwhile.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	// Two collections empty the pools.
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// F01
func TestDeclaredLengthCostsNoMemory(t *testing.T) {
	stream := []byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00")
	stream = append(stream, make([]byte, 100)...)
	for _, tt := range []struct {
		maxMessage int64
		want       error
		buffered   int
	}{{0, ErrMessageTooBig, 0}, {-1, nil, 100}} {
		cfg := &ReaderConfig{MaxMessage: tt.maxMessage}
		var r Reader
		r.Init(cfg)
		var err error
		got := allocated(func() { _, _, _, err = r.Next(stream) })
		if !errors.Is(err, tt.want) || r.Buffered() != tt.buffered {
			t.Errorf("limit %d: error %v, %d bytes buffered; want %v, %d", tt.maxMessage, err, r.Buffered(), tt.want, tt.buffered)
		}
		if got > 4096 {
			t.Errorf("limit %d: 2^63-1 declared bytes cost %d", tt.maxMessage, got)
		}
		r.Reset()
	}
}

// F08
func TestEmptyContinuationsEndAtTheFragmentLimit(t *testing.T) {
	const limit = 1000
	var r Reader
	r.Init(&ReaderConfig{MaxFragments: limit})
	var err error
	got := allocated(func() {
		_, _, _, err = r.Next([]byte("\x01\x80\x00\x00\x00\x00"))
		empty := []byte("\x00\x80\x00\x00\x00\x00")
		sent := 1
		for ; sent < 1_000_000 && err == nil; sent++ {
			_, _, _, err = r.Next(empty)
		}
		if sent != limit+1 {
			t.Errorf("failed at frame %d, want %d", sent, limit+1)
		}
	})
	var fault *ProtocolError
	if !errors.As(err, &fault) || fault.Code != StatusPolicyViolation || !errors.Is(err, ErrTooManyFragments) {
		t.Errorf("error %v, want 1008", err)
	}
	if got > 4096 {
		t.Errorf("empty fragments cost %d bytes", got)
	}
}

// S-a, F08: what came of a message decides in how many frames it may come.
func TestFragmentsMayBeAsManyAsTheMessageIsLong(t *testing.T) {
	const limit = 4 << 20
	for _, tt := range []struct {
		name         string
		cfg          ReaderConfig
		size, frames int // of each frame; how many are sent
		taken        int // frames until the limit
	}{
		{"4 MiB in frames of 64 bytes", ReaderConfig{MaxMessage: limit}, 64, limit / 64, limit / 64},
		{"any size in frames of 64 bytes", ReaderConfig{MaxMessage: -1}, 64, 200_000, 200_000},
		{"a million empty frames", ReaderConfig{MaxMessage: -1}, 0, 1_000_000, defaultMaxFragments},
		{"frames of one byte", ReaderConfig{MaxMessage: limit}, 1, limit, defaultMaxFragments * 64 / 63},
		{"the default size in frames of 64 bytes", ReaderConfig{}, 64, 16384, 16384},
		{"a limit that was set", ReaderConfig{MaxFragments: 16384, MaxMessage: limit}, 64, limit / 64, 16384},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Reader
			r.Init(&tt.cfg)
			defer r.Reset()
			for i := range tt.frames {
				first, fin := byte(Continuation), i == tt.frames-1
				if i == 0 {
					first = byte(Binary)
				}
				if fin {
					first |= finBit
				}
				ev, ok, _, err := r.Next(masked(first, strings.Repeat("x", tt.size)))
				switch {
				case i < tt.taken && err != nil, i == tt.taken && !errors.Is(err, ErrTooManyFragments):
					t.Fatalf("frame %d: %v, want the limit behind %d", i, err, tt.taken)
				case err != nil:
					return
				case ok != fin || ok && len(ev.Payload) != tt.size*tt.frames:
					t.Fatalf("frame %d: %v, %d bytes", i, ok, len(ev.Payload))
				}
			}
		})
	}
}

// F09: all buffers on the way count, not only those alive at one time.
func TestOneByteFragmentsCostAtMostTwiceTheLimit(t *testing.T) {
	for _, limit := range []int64{3000, 300_000, 1<<18 - 1, 1 << 18, 1<<18 + 1} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			var r Reader
			r.Init(&ReaderConfig{MaxMessage: limit, MaxFragments: -1})
			var (
				frame = make([]byte, 7)
				ev    Event
				ok    bool
				err   error
			)
			got := allocated(func() {
				for i := range limit {
					copy(frame, "\x00\x81\x00\x00\x00\x00")
					switch i {
					case 0:
						frame[0] = byte(Binary)
					case limit - 1:
						frame[0] |= finBit
					}
					frame[6] = byte(i)
					ev, ok, _, err = r.Next(frame)
					if ok != (i == limit-1) || err != nil {
						t.Fatalf("fragment %d: %v, %v", i, ok, err)
					}
				}
			})
			want := make([]byte, limit)
			for i := range want {
				want[i] = byte(i)
			}
			if !bytes.Equal(ev.Payload, want) {
				t.Error("the message is not what its fragments were")
			}
			// The allocator rounds large sizes up to its pages of 8 KiB.
			if slack := uint64(12 << 10); got > 2*uint64(limit)+slack {
				t.Errorf("a message of %d bytes cost %d", limit, got)
			}
			r.Reset()
		})
	}
}

func TestPooledBuffersDoNotMixMessages(t *testing.T) {
	var readers [4]Reader
	cfg := new(ReaderConfig)
	var frames, want [4][]byte
	for i := range readers {
		readers[i].Init(cfg)
		want[i] = bytes.Repeat([]byte{byte('a' + i)}, 100_000)
		frames[i] = masked(0x82, string(want[i]))
	}
	for at := 0; at < len(frames[0]); at += 1000 {
		for i := range readers {
			ev, ok, _, err := readers[i].Next(frames[i][at:min(at+1000, len(frames[i]))])
			if err != nil {
				t.Fatal(err)
			}
			if ok && sha256.Sum256(ev.Payload) != sha256.Sum256(want[i]) {
				t.Errorf("reader %d got another message", i)
			}
			if ok != (at+1000 >= len(frames[i])) {
				t.Fatalf("reader %d: event %v at %d", i, ok, at)
			}
		}
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	var r Reader
	r.Init(new(ReaderConfig))
	next := func(b []byte) {
		if _, ok, _, err := r.Next(b); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	// A zero mask key leaves a frame as it is, so that it can be read again.
	text := append([]byte("\x81\xfe\x04\x00\x00\x00\x00\x00"), bytes.Repeat([]byte("t"), 1024)...)
	ping := []byte("\x89\x84\x00\x00\x00\x00ping")
	bad := []byte("\x83\x80\x00\x00\x00\x00")
	payload := make([]byte, 1000)
	dst := make([]byte, 0, 2048)
	var failing Reader
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"Next on text", func() { next(text) }},
		{"Next on a ping", func() { next(ping) }},
		{"Next on nothing", func() { r.Next(nil) }},
		{"Next that fails", func() { failing.Init(r.cfg); failing.Next(bad) }},
		{"ParseHeader", func() { ParseHeader(text) }},
		{"AppendHeader", func() { dst = AppendHeader(dst[:0], Header{OpCode: Text, Masked: true, Length: 1 << 20}) }},
		{"PutHeader", func() { var b [MaxHeaderSize]byte; PutHeader(&b, Header{OpCode: Text, Length: 1 << 20}) }},
		{"AppendFrame", func() { dst = AppendFrame(dst[:0], Text, true, payload) }},
		{"AppendMaskedFrame", func() { dst = AppendMaskedFrame(dst[:0], Text, true, payload) }},
		{"AppendClosePayload", func() { dst = AppendClosePayload(dst[:0], StatusGoingAway, "bye") }},
	} {
		if n := testing.AllocsPerRun(1000, tt.f); n != 0 {
			t.Errorf("%s allocates %v times", tt.name, n)
		}
	}
}
