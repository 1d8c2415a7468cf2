package engine_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// frame is one masked frame with this first byte: FIN, RSV1 to RSV3 and the
// opcode (RFC 6455 section 5.2).
func frame(first byte, payload string) string {
	h := codec.AppendHeader(nil, codec.Header{Masked: true, Mask: [4]byte{1, 2, 3, 4}, Length: int64(len(payload))})
	h[0] = first
	p := []byte(payload)
	for i := range p {
		p[i] ^= byte(i%4 + 1)
	}
	return string(h) + string(p)
}

// declared is the header of a masked frame that declares a length in eight
// bytes, with nothing of its payload.
func declared(first byte, length uint64) string {
	b := binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, length)
	return string(b) + "\x01\x02\x03\x04"
}

func closePayload(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// framingCase is what a client sends to an echo server that takes messages of
// 1000 bytes in 4 frames, and what it sees: frames in the words of transcript.
type framingCase struct{ name, octets, want string }

func framingCases() []framingCase {
	hundred := strings.Repeat("a", 100)
	cases := []framingCase{
		{"F01 length 2^63", declared(0x82, 1<<63), "close 1002"},
		{"F01 length 2^64-1", declared(0x82, 1<<64-1), "close 1002"},
		{"F01 length 2^63-1", declared(0x82, 1<<63-1), "close 1009"},
		{"F02 5 in two bytes", "\x82\xfe\x00\x05\x01\x02\x03\x04abcde", "close 1002"},
		{"F02 5 in eight bytes", declared(0x82, 5) + "abcde", "close 1002"},
		{"F02 65535 in eight bytes", declared(0x82, 65535), "close 1002"},
		{"F05 ping of 126 bytes", frame(0x89, hundred+hundred[:26]), "close 1002"},
		{"F05 pong of 126 bytes", frame(0x8a, hundred+hundred[:26]), "close 1002"},
		{"F05 close of 126 bytes", frame(0x88, closePayload(1000, hundred+hundred[:24])), "close 1002"},
		{"F05 ping of 125 bytes", frame(0x89, hundred+hundred[:25]) + frame(0x88, ""), "pong " + hundred + hundred[:25] + ", close -"},
		{"F05 ping without FIN", frame(0x09, ""), "close 1002"},
		{"F05 close without FIN", frame(0x08, ""), "close 1002"},
		{"F06 unmasked text", "\x81\x02hi", "close 1002"},
		{"F06 unmasked ping", "\x89\x00", "close 1002"},
		{"F07 orphan continuation", frame(0x80, "hi"), "close 1002"},
		{"F07 continuation after the end", frame(0x01, "a") + frame(0x80, "b") + frame(0x80, "c"), "text ab, close 1002"},
		{"F07 text inside a message", frame(0x01, "a") + frame(0x81, "b"), "close 1002"},
		{"F07 binary inside a message", frame(0x02, "a") + frame(0x02, "b"), "close 1002"},
		{"F08 fragments at the limit", frame(0x01, "") + strings.Repeat(frame(0x00, ""), 2) + frame(0x80, "x") + frame(0x88, ""), "text x, close -"},
		{"F08 fragments over the limit", frame(0x01, "") + strings.Repeat(frame(0x00, ""), 3) + frame(0x80, "x"), "close 1008"},
		{"F10 limit", frame(0x82, string(pattern(1000))) + frame(0x88, ""), "binary " + string(pattern(1000)) + ", close -"},
		{"F10 limit+1", frame(0x82, string(pattern(1001))), "close 1009"},
		{"F10 limit in fragments", frame(0x02, string(pattern(600))) + frame(0x80, string(pattern(400))) + frame(0x88, ""), "binary " + string(pattern(600)) + string(pattern(400)) + ", close -"},
		{"F10 limit+1 in fragments", frame(0x02, string(pattern(600))) + frame(0x80, string(pattern(401))), "close 1009"},
		{"F15 empty close", frame(0x88, ""), "close -"},
		{"F15 close of one byte", frame(0x88, "\x03"), "close 1002"},
		{"F15 close of two bytes", frame(0x88, closePayload(1000, "")), "close 1000"},
		{"F15 close of 125 bytes", frame(0x88, closePayload(1000, hundred+hundred[:23])), "close 1000"},
		{"F15 reason of bad UTF-8", frame(0x88, closePayload(1000, "\xff")), "close 1007"},
		{"F16 data after close", frame(0x88, closePayload(1000, "")) + frame(0x81, "late") + frame(0x89, "late"), "close 1000"},
		{"F16 garbage after close", frame(0x88, closePayload(1000, "")) + "\xff\xff\xff", "close 1000"},
		{"F16 two closes", frame(0x88, closePayload(3000, "")) + frame(0x88, closePayload(3001, "")), "close 3000"},
		{"F18 ping between fragments", frame(0x01, "a") + frame(0x89, "now") + frame(0x80, "b") + frame(0x88, ""), "pong now, text ab, close -"},
		{"unsolicited pong", frame(0x8a, "x") + frame(0x81, "a") + frame(0x88, ""), "text a, close -"},
		{"empty messages", frame(0x81, "") + frame(0x82, "") + frame(0x88, ""), "text , binary , close -"},
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases, framingCase{fmt.Sprintf("F03 opcode %d", op), frame(0x81, "a") + frame(0x80|op, "hi"), "text a, close 1002"})
	}
	for _, rsv := range []byte{0x40, 0x20, 0x10} {
		for _, op := range []byte{1, 2, 8, 9, 10} {
			cases = append(cases, framingCase{fmt.Sprintf("F04 RSV %#x opcode %d", rsv, op), frame(0x80|rsv|op, ""), "close 1002"})
		}
		cases = append(cases, framingCase{fmt.Sprintf("F04 RSV %#x continuation", rsv), frame(0x01, "a") + frame(0x80|rsv, "b"), "close 1002"})
	}
	return cases
}

// F01 to F08, F10, F15, F16, F18, and F19 for all of them.
func TestFramingRulesHoldHoweverTheOctetsAreCut(t *testing.T) {
	addr := listen(t, &engine.Server{
		Callbacks: echo,
		Limits:    engine.Limits{MaxMessage: 1000, MaxFragments: 4},
	})
	random := rand.New(rand.NewPCG(seeds.First(t), 0))
	for _, c := range framingCases() {
		t.Run(c.name, func(t *testing.T) {
			for how, pieces := range map[string][]string{
				"at once":    {c.octets},
				"byte-wise":  cut(c.octets, func() int { return 1 }),
				"in pieces":  cut(c.octets, func() int { return 1 + random.IntN(9) }),
				"with delay": cut(c.octets, func() int { return 1 + len(c.octets)/2 }),
			} {
				if got := transcript(t, addr, pieces); got != c.want {
					t.Fatalf("%s: got %.200s; want %.200s", how, got, c.want)
				}
			}
		})
	}
}

func cut(octets string, size func() int) (pieces []string) {
	for octets != "" {
		n := min(len(octets), size())
		pieces = append(pieces, octets[:n])
		octets = octets[n:]
	}
	return pieces
}

// transcript sends pieces on a new connection and tells which frames come back
// until the server ends it.
func transcript(t *testing.T, addr string, pieces []string) string {
	t.Helper()
	c := openRaw(t, addr)
	defer c.Close()
	go func() {
		for _, p := range pieces {
			if _, err := io.WriteString(c.Conn, p); err != nil {
				return // failed by then
			}
		}
	}()
	var frames []string
	for {
		h, payload, err := c.readFrame()
		switch {
		case err == io.EOF:
			return strings.Join(frames, ", ")
		case err != nil:
			return strings.Join(append(frames, err.Error()), ", ")
		case h.OpCode != codec.Close:
			frames = append(frames, fmt.Sprintf("%v %s", h.OpCode, payload))
		case len(payload) < 2:
			frames = append(frames, "close -")
		default:
			frames = append(frames, fmt.Sprintf("close %d", binary.BigEndian.Uint16(payload)))
		}
	}
}

// F11
func TestInvalidUTF8FailsAtTheFirstBadByte(t *testing.T) {
	addr := listen(t, &engine.Server{Callbacks: echo})
	bad := map[string]string{
		"lone continuation":   "\x80",
		"surrogate":           "\xed\xa0", // the third byte does not matter any more
		"overlong of two":     "\xc0",
		"overlong of three":   "\xe0\x80",
		"overlong of four":    "\xf0\x80",
		"over U+10FFFF":       "\xf4\x90",
		"0xFE":                "\xfe",
		"0xFF":                "\xff",
		"sequence broken off": "\xe2\x82a",
	}
	before := "κόσμε "
	for name, octets := range bad {
		t.Run(name, func(t *testing.T) {
			whole := before + octets
			for split := range len(whole) {
				// The second frame goes on after the bad byte, which must be told
				// without waiting for the rest.
				second := frame(0x80, whole[split:]+strings.Repeat("a", 100))
				second = second[:len(second)-100]
				if got := transcript(t, addr, []string{frame(0x01, whole[:split]) + second}); got != "close 1007" {
					t.Fatalf("split at %d: %s", split, got)
				}
			}
			if got := transcript(t, addr, []string{frame(0x81, whole)}); got != "close 1007" {
				t.Fatalf("in one frame: %s", got)
			}
		})
	}
}

// F11
func TestTextMayBeCutInsideARune(t *testing.T) {
	addr := listen(t, &engine.Server{Callbacks: echo})
	whole := "κόσμε 你好 \U0001F600"
	c := openRaw(t, addr)
	for split := range len(whole) + 1 {
		c.send(frame(0x01, whole[:split]) + frame(0x80, whole[split:]))
		c.wantMessage(engine.Text, whole)
	}
	c.send(frame(0x81, whole[:len(whole)-1]))
	c.wantClose(engine.StatusInvalidFramePayloadData)
}

// F15: codec proves it for every code.
func TestCloseCodesThatMayNotBeSentFailWith1002(t *testing.T) {
	addr := listen(t, &engine.Server{})
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		if got := transcript(t, addr, []string{frame(0x88, closePayload(code, ""))}); got != "close 1002" {
			t.Errorf("close frame with %d: %s", code, got)
		}
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		if got := transcript(t, addr, []string{frame(0x88, closePayload(code, ""))}); got != fmt.Sprintf("close %d", code) {
			t.Errorf("close frame with %d: %s", code, got)
		}
	}
}
