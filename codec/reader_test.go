package codec

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// Each rule with the frames that break it and those that just do not. All are
// read whole and cut.
func TestFramesAreCheckedAgainstTheRFC(t *testing.T) {
	var (
		server  = &ReaderConfig{}
		client  = &ReaderConfig{Role: Client}
		deflate = &ReaderConfig{Rsv1: true}
		small   = &ReaderConfig{MaxMessage: 10}
		few     = &ReaderConfig{MaxFragments: 3}
	)
	for _, tt := range []struct {
		name   string
		cfg    *ReaderConfig
		stream []byte
		err    error
		events []string
	}{
		{"F01 highest bit of the length", server, []byte("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00"), errLengthBit63, nil},
		{"F01 2^63-1 bytes", server, []byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04"), ErrMessageTooBig, nil},
		{"F02 length 5 in 16 bits", server, []byte("\x82\xfe\x00\x05"), errNonMinimalLength, nil},
		{"F02 length 5 in 64 bits", server, []byte("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x05"), errNonMinimalLength, nil},

		{"F03 opcode 3", server, masked(0x83, ""), errReservedOpCode, nil},
		{"F03 opcode 7", server, masked(0x87, ""), errReservedOpCode, nil},
		{"F03 opcode B", server, masked(0x8b, ""), errReservedOpCode, nil},
		{"F03 opcode F", server, masked(0x8f, ""), errReservedOpCode, nil},
		{"F03 opcode 3 inside of a message", server, join(masked(0x01, "a"), masked(0x83, "")), errReservedOpCode, nil},

		{"F04 RSV1 not agreed on", server, masked(0xc1, ""), errUnexpectedRsv1, nil},
		{"F04 RSV1 agreed on, text", deflate, masked(0xc1, "\xff"), nil, []string{`text true "\xff"`}},
		{"F04 RSV1 agreed on, binary", deflate, masked(0xc2, "z"), nil, []string{`binary true "z"`}},
		{"F04 RSV1 agreed on, not used", deflate, masked(0x81, "z"), nil, []string{`text false "z"`}},
		{"F04 RSV1 on the first fragment", deflate, join(masked(0x41, "\xff"), masked(0x80, "z")), nil, []string{`text true "\xffz"`}},
		{"F04 RSV1 on a continuation", deflate, join(masked(0x41, "a"), masked(0xc0, "b")), errUnexpectedRsv1, nil},
		{"F04 RSV1 on a later continuation", deflate, join(masked(0x01, "a"), masked(0xc0, "b")), errUnexpectedRsv1, nil},
		{"F04 RSV1 on ping", deflate, masked(0xc9, ""), errUnexpectedRsv1, nil},
		{"F04 RSV1 on close", deflate, masked(0xc8, ""), errUnexpectedRsv1, nil},
		{"F04 RSV2", deflate, masked(0xa1, ""), errReservedBits, nil},
		{"F04 RSV3", deflate, masked(0x92, ""), errReservedBits, nil},
		{"F04 RSV2 on pong", server, masked(0xaa, ""), errReservedBits, nil},
		{"F04 RSV3 on a continuation", server, join(masked(0x01, ""), masked(0x90, "")), errReservedBits, nil},

		{"F05 ping of 125 bytes", server, masked(0x89, strings.Repeat("p", 125)), nil, []string{`ping false "` + strings.Repeat("p", 125) + `"`}},
		{"F05 ping of 126 bytes", server, masked(0x89, strings.Repeat("p", 126)), errLongControl, nil},
		{"F05 close of 70000 bytes", server, masked(0x88, strings.Repeat("p", 70000)), errLongControl, nil},
		{"F05 fragmented ping", server, masked(0x09, ""), errFragmentedControl, nil},
		{"F05 fragmented close", server, masked(0x08, ""), errFragmentedControl, nil},

		{"F06 unmasked to server", server, []byte("\x82\x00"), errNotMasked, nil},
		{"F06 unmasked ping to server", server, []byte("\x89\x00"), errNotMasked, nil},
		{"F06 masked to client", client, masked(0x82, ""), errMasked, nil},
		{"F06 unmasked to client", client, []byte("\x82\x01z"), nil, []string{`binary false "z"`}},

		{"F07 orphan continuation", server, masked(0x80, "a"), errOrphanContinuation, nil},
		{"F07 orphan after a message", server, join(masked(0x81, "a"), masked(0x00, "b")), errOrphanContinuation, []string{`text false "a"`}},
		{"F07 orphan after fragments", server, join(masked(0x01, "a"), masked(0x80, "b"), masked(0x80, "c")), errOrphanContinuation, []string{`text false "ab"`}},
		{"F07 text inside of a message", server, join(masked(0x02, "a"), masked(0x81, "b")), errInterleavedMessage, nil},
		{"F07 binary inside of a message", server, join(masked(0x01, "a"), masked(0x02, "b")), errInterleavedMessage, nil},

		{"F08 as many fragments as allowed", few, join(masked(0x02, ""), masked(0x00, ""), masked(0x80, "")), nil, []string{`binary false ""`}},
		{"F08 one fragment more", few, join(masked(0x02, ""), masked(0x00, ""), masked(0x00, ""), masked(0x80, "")), ErrTooManyFragments, nil},
		{"F08 the count starts anew", few, join(masked(0x02, "a"), masked(0x80, "b"), masked(0x02, "c"), masked(0x80, "d")), nil, []string{`binary false "ab"`, `binary false "cd"`}},

		{"F10 the limit", small, masked(0x82, "0123456789"), nil, []string{`binary false "0123456789"`}},
		{"F10 one more", small, masked(0x82, "0123456789a"), ErrMessageTooBig, nil},
		{"F10 the limit in fragments", small, join(masked(0x02, "01234"), masked(0x80, "56789")), nil, []string{`binary false "0123456789"`}},
		{"F10 one more in fragments", small, join(masked(0x02, "01234"), masked(0x00, ""), masked(0x80, "56789a")), ErrMessageTooBig, nil},
		{"F10 the sum does not overflow", small, join(masked(0x02, "01234"), []byte("\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04")), ErrMessageTooBig, nil},
		{"F10 control frames do not count", small, join(masked(0x02, "01234"), masked(0x89, "0123456789"), masked(0x80, "56789")), nil, []string{`ping false "0123456789"`, `binary false "0123456789"`}},
		{"F10 the sum starts anew", small, join(masked(0x82, "0123456789"), masked(0x82, "0123456789")), nil, []string{`binary false "0123456789"`, `binary false "0123456789"`}},

		{"F11 rune over two fragments", server, join(masked(0x01, "\xe2\x82"), masked(0x80, "\xac")), nil, []string{`text false "€"`}},
		{"F11 rune over two messages", server, join(masked(0x81, "\xe2\x82"), masked(0x81, "\xac")), ErrInvalidUTF8, nil},
		{"F11 rune cut at the end of fragments", server, join(masked(0x01, "a"), masked(0x80, "\xe2\x82")), ErrInvalidUTF8, nil},
		{"F11 binary is not text", server, masked(0x82, "\xff"), nil, []string{`binary false "\xff"`}},

		{"F18 ping between fragments", server, join(masked(0x01, "a"), masked(0x89, "now"), masked(0x80, "b")), nil, []string{`ping false "now"`, `text false "ab"`}},
		{"empty messages", server, join(masked(0x81, ""), masked(0x02, ""), masked(0x80, "")), nil, []string{`text false ""`, `binary false ""`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := checkSplits(t, tt.cfg, tt.stream, rand.New(rand.NewPCG(3, 4)))
			if !errors.Is(o.err, tt.err) || !slices.Equal(o.events, tt.events) {
				t.Errorf("%v; want %q and error %v", o, tt.events, tt.err)
			}
		})
	}
}

// F01, F10: the header alone decides.
func TestTooBigMessageFailsBeforeItsPayload(t *testing.T) {
	var r Reader
	r.Init(&ReaderConfig{MaxMessage: 10})
	header := masked(0x82, "0123456789a")[:6]
	_, _, _, err := r.Next(header)
	if !errors.Is(err, ErrMessageTooBig) {
		t.Errorf("Next = %v, want %v", err, ErrMessageTooBig)
	}
	var fault *ProtocolError
	if !errors.As(err, &fault) || fault.Code != StatusMessageTooBig {
		t.Errorf("the error has status %v, want 1009", fault.Code)
	}
}

// F11: the error comes with the first bad byte, at whatever byte it is cut.
func TestTextFailsAtTheFirstBadByte(t *testing.T) {
	for _, text := range []string{
		"ok\xff later", "\xc0\xaf overlong", "\xe0\x80\x80", "\xf0\x80\x80\x80", "surrogate \xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xf5", "\x80", "cut \xe2\x82 short", "κόσμε\xc3(",
	} {
		bad := firstBad([]byte(text))
		for split := range len(text) + 1 {
			stream := join(masked(0x01, text[:split]), masked(0x00, text[split:]))
			// Payload bytes of the first frame start at 6, those of the second at split+12.
			failsAt := bad + 6
			if bad >= split {
				failsAt = bad + 12
			}
			var r Reader
			r.Init(new(ReaderConfig))
			for i := range stream {
				_, ok, _, err := r.Next(stream[i : i+1])
				if ok || errors.Is(err, ErrInvalidUTF8) != (i >= failsAt) {
					t.Fatalf("%q cut at %d: byte %d gave %v, %v; the bad one is %d", text, split, i, ok, err, failsAt)
				}
			}
			r.Init(new(ReaderConfig))
			if _, _, _, err := r.Next(join(masked(0x01, text[:split]), masked(0x00, text[split:]))[:failsAt+1]); !errors.Is(err, ErrInvalidUTF8) {
				t.Fatalf("%q cut at %d: up to the bad byte gave %v", text, split, err)
			}
		}
	}
}

// F18: a control frame is there before the message is.
func TestControlFrameInsideAMessageIsDeliveredAtOnce(t *testing.T) {
	var r Reader
	r.Init(new(ReaderConfig))
	b := join(masked(0x02, "first"), masked(0x89, "now"), masked(0x00, "sec"))
	ev, ok, n, err := r.Next(b)
	if err != nil || !ok || ev.OpCode != Ping || string(ev.Payload) != "now" {
		t.Fatalf("Next = %+v, %v, %v; want the ping", ev, ok, err)
	}
	if !r.InMessage() || r.Buffered() != 5 {
		t.Errorf("in message %v with %d bytes, want the first fragment kept", r.InMessage(), r.Buffered())
	}
	if _, ok, _, err := r.Next(b[n:]); ok || err != nil {
		t.Fatal(ok, err)
	}
	ev, ok, _, err = r.Next(masked(0x80, "ond"))
	if err != nil || !ok || string(ev.Payload) != "firstsecond" {
		t.Errorf("Next = %+v, %v, %v; want the message", ev, ok, err)
	}
	if r.InMessage() || r.Buffered() != 0 {
		t.Errorf("in message %v with %d bytes after its end", r.InMessage(), r.Buffered())
	}
}

func TestWholeMessageIsDeliveredInPlace(t *testing.T) {
	var r Reader
	r.Init(new(ReaderConfig))
	b := join(masked(0x81, "hello"), masked(0x82, "world"))
	start := 0
	for _, want := range []string{"hello", "world"} {
		ev, ok, n, err := r.Next(b[start:])
		if err != nil || !ok || string(ev.Payload) != want {
			t.Fatalf("Next = %+v, %v, %v; want %q", ev, ok, err, want)
		}
		if &ev.Payload[0] != &b[start+6] || cap(ev.Payload) != len(ev.Payload) || r.pending != nil {
			t.Errorf("%q was not delivered from the bytes given", want)
		}
		start += n
	}
}

func TestIdleReaderIsSmallAndHoldsNothing(t *testing.T) {
	if size := unsafe.Sizeof(Parser{}); size > 16 {
		t.Errorf("a Parser takes %d bytes", size)
	}
	var r Reader
	r.Init(new(ReaderConfig))
	for _, frame := range [][]byte{masked(0x81, "cut"), masked(0x89, "cut"), join(masked(0x02, "a"), masked(0x80, "b"))} {
		at := len(frame) - 1
		if _, ok, _, err := r.Next(frame[:at]); ok || err != nil || r.pending == nil {
			t.Fatalf("Next = %v, %v, pending %p", ok, err, r.pending)
		}
		if _, ok, _, err := r.Next(frame[at:]); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, ok, _, err := r.Next(nil); ok || err != nil || r.pending != nil {
			t.Errorf("after the last event: %v, %v, pending %p", ok, err, r.pending)
		}
	}
}

func TestResetGivesBackAndForgets(t *testing.T) {
	var r Reader
	r.Init(new(ReaderConfig))
	if _, _, _, err := r.Next(masked(0x01, "a")); err != nil {
		t.Fatal(err)
	}
	r.Reset()
	if r.pending != nil || r.InMessage() {
		t.Error("a message is pending after Reset")
	}
	if ev, ok, _, err := r.Next(masked(0x81, "b")); err != nil || !ok || string(ev.Payload) != "b" {
		t.Errorf("Next = %+v, %v, %v", ev, ok, err)
	}
	if _, _, _, err := r.Next(masked(0x83, "")); err == nil {
		t.Fatal("a reserved opcode passed")
	}
	r.Reset()
	if _, _, _, err := r.Next(masked(0x81, "c")); !errors.Is(err, errReservedOpCode) {
		t.Errorf("after an error and Reset: %v", err)
	}
}

func TestStreamingTakesEffectAtTheNextMessage(t *testing.T) {
	var r Reader
	r.Init(&ReaderConfig{MaxMessage: 4})
	next := func(b []byte, want Event) {
		t.Helper()
		ev, ok, _, err := r.Next(b)
		if ok != (want.OpCode != 0) || err != nil {
			t.Fatalf("Next = %+v, %v, %v; want %+v", ev, ok, err, want)
		}
		if ok && (ev.OpCode != want.OpCode || ev.Fin != want.Fin || !bytes.Equal(ev.Payload, want.Payload)) {
			t.Fatalf("Next = %+v, want %+v", ev, want)
		}
	}
	next(masked(0x02, "ab"), Event{})
	r.SetStreaming(true)
	next(masked(0x80, "cd"), Event{OpCode: Binary, Fin: true, Payload: []byte("abcd")})

	long := masked(0x01, "over the limit")
	next(long[:10], Event{OpCode: Text, Payload: []byte("over")})
	next(long[10:], Event{OpCode: Text, Payload: []byte(" the limit")})
	if !r.InMessage() || r.Buffered() != 0 {
		t.Errorf("in message %v with %d bytes kept", r.InMessage(), r.Buffered())
	}
	next(masked(0x89, "ping"), Event{OpCode: Ping, Fin: true, Payload: []byte("ping")})
	next(masked(0x00, ""), Event{})
	r.SetStreaming(false)
	next(masked(0x80, ""), Event{OpCode: Text, Fin: true})

	if _, _, _, err := r.Next(masked(0x82, "over the limit")); !errors.Is(err, ErrMessageTooBig) {
		t.Errorf("with streaming off again: %v", err)
	}
}

// R-b: a payload that is kept outlasts the bytes that Next was given, until the
// next call of Next.
func TestKeptPayloadOutlastsItsBytes(t *testing.T) {
	cfg := &ReaderConfig{Rsv1: true}
	long := strings.Repeat("compressed, to the reader ", 300)
	for name, parts := range map[string][][]byte{
		"in one read":  {masked(0xc2, long)},
		"in two reads": {masked(0xc2, long)[:1000], masked(0xc2, long)[1000:]},
		"in fragments": {join(masked(0x42, long[:10]), masked(0x89, "ping"), masked(0x80, long[10:]))},
		"empty":        {masked(0xc2, "")},
	} {
		t.Run(name, func(t *testing.T) {
			var r Reader
			r.Init(cfg)
			defer r.Reset()
			want := long
			if name == "empty" {
				want = ""
			}
			for range 2 { // a kept buffer is given back
				for _, part := range parts {
					b := bytes.Clone(part)
					for rest := b; ; {
						ev, ok, n, err := r.Next(rest)
						if err != nil {
							t.Fatal(err)
						}
						if !ok {
							break
						}
						rest = rest[n:]
						if ev.OpCode != Binary {
							continue
						}
						kept := r.Keep(ev.Payload)
						clear(b)
						if string(kept) != want {
							t.Fatalf("%d bytes are kept: %.40q", len(kept), kept)
						}
						break
					}
				}
			}
			if _, ok, _, err := r.Next(nil); ok || err != nil || r.pending != nil {
				t.Errorf("the buffer is not given back: %v, %v", ok, err)
			}
		})
	}
}

func TestFramesAreCounted(t *testing.T) {
	stream := join(masked(0x81, "one"), masked(0x01, "two"), masked(0x89, "three"), masked(0x00, ""), masked(0x80, "five"), masked(0x82, strings.Repeat("six", 50)))
	for _, size := range []int{1, 2, 7, len(stream)} {
		var r Reader
		r.Init(new(ReaderConfig))
		for rest := bytes.Clone(stream); len(rest) > 0; {
			b := rest[:min(size, len(rest))]
			rest = rest[len(b):]
			for ok := true; ok; {
				var n int
				var err error
				if _, ok, n, err = r.Next(b); err != nil {
					t.Fatal(err)
				}
				b = b[n:]
			}
		}
		if r.Frames() != 6 {
			t.Errorf("in parts of %d bytes %d frames are counted, want 6", size, r.Frames())
		}
	}
}
