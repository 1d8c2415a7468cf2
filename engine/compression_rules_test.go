package engine_test

import (
	"bytes"
	"compress/flate"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// F04: RSV1 belongs to the first frame of a message, where compression was
// agreed on.
func TestRSV1IsCheckedWithCompression(t *testing.T) {
	addr := listen(t, &engine.Server{Callbacks: echo, Compression: &engine.Compression{}})
	packed := string(deflated("hello"))
	for _, tt := range []struct {
		name, octets string
		agreed       bool
		want         engine.StatusCode // 0: an echo
	}{
		{"text", frame(0xc1, packed), true, 0},
		{"binary", frame(0xc2, packed), true, 0},
		{"first of two fragments", frame(0x41, packed[:2]) + frame(0x80, packed[2:]), true, 0},
		{"a ping in between", frame(0x41, packed[:2]) + frame(0x8a, "") + frame(0x80, packed[2:]), true, 0},
		{"without RSV1", frame(0x81, "hello"), true, 0},
		{"second fragment", frame(0x41, packed[:2]) + frame(0xc0, packed[2:]), true, engine.StatusProtocolError},
		{"second fragment alone", frame(0x01, "he") + frame(0xc0, packed), true, engine.StatusProtocolError},
		{"ping", frame(0xc9, ""), true, engine.StatusProtocolError},
		{"pong", frame(0xca, ""), true, engine.StatusProtocolError},
		{"close", frame(0xc8, ""), true, engine.StatusProtocolError},
		{"RSV2", frame(0xe1, packed), true, engine.StatusProtocolError},
		{"RSV3", frame(0xd1, packed), true, engine.StatusProtocolError},
		{"not agreed", frame(0xc1, packed), false, engine.StatusProtocolError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openRaw(t, addr)
			if tt.agreed {
				c = openRaw(t, addr, offering("permessage-deflate"))
			}
			c.send(tt.octets)
			if tt.want != 0 {
				c.wantClose(tt.want)
				return
			}
			if _, got, err := c.readFrame(); err != nil || string(got) != "hello" {
				t.Fatalf("got %q, %v", got, err)
			}
		})
	}
}

// F11, F12, F14, and F13 with a small limit.
func TestCompressedMessagesAreCheckedInflated(t *testing.T) {
	const limit = 100_000
	whole := string(deflated(string(pattern(2000))))
	bomb := string(deflated(strings.Repeat("\x00", 100<<20)))
	addr := listen(t, &engine.Server{Callbacks: echo,
		Compression: &engine.Compression{}, Limits: engine.Limits{MaxMessage: limit}})
	ratio := listen(t, &engine.Server{Callbacks: echo,
		Compression: &engine.Compression{MaxRatio: 100}, Limits: engine.Limits{MaxMessage: -1}})
	large := listen(t, &engine.Server{Callbacks: echo,
		Compression: &engine.Compression{}, Limits: engine.Limits{MaxMessage: 8 << 20}})
	for _, tt := range []struct {
		name, addr, octets string
		want               engine.StatusCode // 0: an echo
	}{
		{"S-c 5 MiB of one byte", large, frame(0xc2, string(deflatedZeros(5<<20))), 0},
		{"F12 bad byte", addr, frame(0xc1, string(deflated("ok\xff"))), engine.StatusInvalidFramePayloadData},
		{"F12 surrogate", addr, frame(0xc1, string(deflated("\xed\xa0\x80"))), engine.StatusInvalidFramePayloadData},
		{"F12 cut rune", addr, frame(0xc1, string(deflated(strings.Repeat("a", 5000)+"\xe2\x82"))), engine.StatusInvalidFramePayloadData},
		{"F12 binary", addr, frame(0xc2, string(deflated("ok\xff"))), 0},
		{"F11 in fragments", addr, frame(0x41, string(deflated("\xc3(")[:2])) + frame(0x80, string(deflated("\xc3(")[2:])), engine.StatusInvalidFramePayloadData},
		{"F10 at the limit", addr, frame(0xc2, string(deflated(strings.Repeat("a", limit)))), 0},
		{"F10 over the limit", addr, frame(0xc2, string(deflated(strings.Repeat("a", limit+1)))), engine.StatusMessageTooBig},
		{"F13 bomb", addr, frame(0xc2, bomb[:90_000]), engine.StatusMessageTooBig},
		{"F13 bomb in fragments", addr, frame(0x42, bomb[:1000]) + frame(0x00, bomb[1000:2000]) + frame(0x80, bomb[2000:3000]), engine.StatusMessageTooBig},
		{"F13 ratio", ratio, frame(0xc2, bomb), engine.StatusMessageTooBig},
		{"F14 cut", addr, frame(0xc2, whole[:len(whole)-9]), engine.StatusInvalidFramePayloadData},
		{"F14 garbage", addr, frame(0xc2, "\xff\xff\xff\xff\xff"), engine.StatusInvalidFramePayloadData},
		{"F14 before the beginning", addr, frame(0xc2, "\x02\x13\x00\x00"), engine.StatusInvalidFramePayloadData},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openRaw(t, tt.addr, offering("permessage-deflate"))
			c.send(tt.octets)
			if tt.want != 0 {
				c.wantClose(tt.want)
				return
			}
			if _, _, err := c.readFrame(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// F13: a bomb costs what arrived of it, not what it inflates to.
func TestDeflateBombsAreBounded(t *testing.T) {
	needs(t, noAllocations)
	skipCosts(t)
	const bombs = 20
	bomb := deflatedZeros(1 << 30)
	const limit = 1<<20 + 32<<10
	if len(bomb) > limit || len(bomb) < 1<<20-32<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	whole := frame(0xc2, string(bomb))
	fragments := ""
	for rest, first := bomb, byte(0x42); len(rest) > 0; first = 0 {
		n := min(len(rest), 50_000)
		if n == len(rest) {
			first |= 0x80
		}
		fragments += frame(first, string(rest[:n]))
		rest = rest[n:]
	}
	addr := listen(t, &engine.Server{Loops: 1, Callbacks: echo, Compression: &engine.Compression{}, Limits: engine.Limits{MaxMessage: int64(limit)}})
	for name, octets := range map[string]string{"whole": whole, "in fragments": fragments} {
		explode := func() {
			c := openRaw(t, addr, offering("permessage-deflate"))
			c.send(octets)
			c.wantClose(engine.StatusMessageTooBig)
		}
		explode()
		each, _ := leastAllocated(bombs, explode)
		// What arrived is in a buffer that doubled (F09); the codec's tests look at
		// what is held at a time.
		if each > 2*limit+64<<10 {
			t.Errorf("a bomb %s made the server allocate %d bytes, the limit is %d", name, each, limit)
		}
	}
}

// deflatedZeros returns the payload of a compressed message of size zeros.
func deflatedZeros(size int) []byte {
	const part = 1 << 20
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // the level exists
	zeros := make([]byte, part)
	w.Write(zeros)
	w.Flush()
	first := b.Len()
	w.Write(zeros)
	w.Flush()
	again := b.Bytes()[first:] // it refers back to zeros only
	p := slices.Concat(b.Bytes()[:first], bytes.Repeat(again, size/part-1))
	return p[:len(p)-4]
}
