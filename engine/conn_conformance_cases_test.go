package engine_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/fanloop-go/fanloop/engine"
)

func conformanceCases() []conformance {
	var all []conformance
	for _, section := range [][]conformance{
		framingConformance(), pingConformance(), reservedBitConformance(), opcodeConformance(), fragmentConformance(),
		utf8Conformance(), closeConformance(), closeCodeConformance(), sizeConformance(),
	} {
		all = append(all, section...)
	}
	return all
}

// 1: a message comes back, whatever form its length takes.
func framingConformance() (cases []conformance) {
	c, s := fromClient, fromServer
	for _, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
		text, binary := strings.Repeat("*", n), strings.Repeat("\xfe", n)
		cases = append(cases,
			conformance{fmt.Sprintf("1.1 text of %d", n), frames(c.text(text)), frames(s.text(text)), stays},
			conformance{fmt.Sprintf("1.2 binary of %d", n),
				frames(c.frame(engine.Binary, true, binary)), frames(s.frame(engine.Binary, binary)), stays})
	}
	return cases
}

// 2: a ping is answered with its own payload, a pong with nothing.
func pingConformance() []conformance {
	c, s := fromClient, fromServer
	full := strings.Repeat("\xfe", 125)
	var tenPings, tenPongs []string
	for i := range 10 {
		payload := fmt.Sprintf("payload-%d", i)
		tenPings, tenPongs = append(tenPings, c.ping(payload)), append(tenPongs, s.pong(payload))
	}
	return []conformance{
		{"2.1 empty", frames(c.ping("")), frames(s.pong("")), stays},
		{"2.2 text", frames(c.ping("Hello, world!")), frames(s.pong("Hello, world!")), stays},
		{"2.3 binary", frames(c.ping("\x00\xff\xfe\xfd")), frames(s.pong("\x00\xff\xfe\xfd")), stays},
		{"2.4 125 octets", frames(c.ping(full)), frames(s.pong(full)), stays},
		{"2.5 126 octets", frames(c.ping(full + "\xfe")), s.broken("control frame is over 125 bytes"), ends},
		{"2.7 unasked pong", frames(c.pong("")), nil, stays},
		{"2.8 unasked pong with payload", frames(c.pong("unasked")), nil, stays},
		{"2.9 unasked pong, then ping", frames(c.pong("unasked"), c.ping("asked")), frames(s.pong("asked")), stays},
		{"2.10 ten pings", tenPings, tenPongs, stays},
	}
}

// 3: a reserved bit that no extension gave a meaning.
func reservedBitConformance() []conformance {
	const rsv1, rsv23 = "RSV1 is set where it must not be", "RSV2 or RSV3 is set"
	c, s := fromClient, fromServer
	behind := func(first byte) []string {
		return frames(c.text("first"), withFirst(first, c.text("Hello")), c.ping(""))
	}
	then := func(reason string) []string { return frames(s.text("first"), s.closing(1002, reason)) }
	return []conformance{
		{"3.1 RSV3 on text", frames(withFirst(0x91, c.text("Hello"))), s.broken(rsv23), ends},
		{"3.2 RSV2 behind text", behind(0xa1), then(rsv23), ends},
		{"3.3 RSV2 and RSV3 behind text", behind(0xb1), then(rsv23), ends},
		{"3.4 RSV1 behind text", behind(0xc1), then(rsv1), ends},
		{"3.5 RSV1 and RSV3 on binary", frames(withFirst(0xd2, c.text("Hello"))), s.broken(rsv23), ends},
		{"3.6 RSV1 and RSV2 on ping", frames(withFirst(0xe9, c.ping("x"))), s.broken(rsv23), ends},
		{"3.6 RSV1 on ping", frames(withFirst(0xc9, c.ping("x"))), s.broken(rsv1), ends},
		{"3.7 all three on close", frames(withFirst(0xf8, c.closing("\x03\xe8"))), s.broken(rsv23), ends},
	}
}

// 4: opcodes without a meaning, alone and behind a message.
func opcodeConformance() (cases []conformance) {
	const reserved = "opcode is reserved"
	c, s := fromClient, fromServer
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases,
			conformance{fmt.Sprintf("4 opcode %d", op), frames(withFirst(0x80|op, c.text(""))), s.broken(reserved), ends},
			conformance{fmt.Sprintf("4 opcode %d with payload, behind text", op),
				frames(c.text("first"), withFirst(0x80|op, c.text("reserved")), c.ping("")),
				frames(s.text("first"), s.closing(1002, reserved)), ends})
	}
	return cases
}

// 5: fragments.
func fragmentConformance() []conformance {
	const (
		orphan   = "continuation frame outside of a message"
		inside   = "new message inside of a message"
		controls = "control frame is fragmented"
	)
	c, s := fromClient, fromServer
	long := strings.Repeat("*", 65536)
	return []conformance{
		{"5.1 ping in fragments", frames(withFirst(0x09, c.ping("a")), c.last("b")), s.broken(controls), ends},
		{"5.2 pong in fragments", frames(withFirst(0x0a, c.pong("a")), c.last("b")), s.broken(controls), ends},
		{"5.3 two fragments", frames(c.part("frag"), c.last("ment")), frames(s.text("fragment")), stays},
		{"5.6 ping between fragments", // F18
			frames(c.part("frag"), c.ping("p"), c.last("ment")), frames(s.pong("p"), s.text("fragment")), stays},
		{"5.9 continuation of nothing, with FIN", frames(c.last("orphan"), c.text("x")), s.broken(orphan), ends},
		{"5.12 continuation of nothing, without FIN", frames(c.more("orphan"), c.text("x")), s.broken(orphan), ends},
		{"5.15 continuation behind a whole message",
			frames(c.part("frag"), c.last("ment"), c.more("orphan"), c.text("x")),
			frames(s.text("fragment"), s.closing(1002, orphan)), ends},
		{"5.18 text inside a message", frames(c.part("one"), c.text("two")), s.broken(inside), ends},
		{"5.18 fragment of text inside a message", frames(c.part("one"), c.part("two")), s.broken(inside), ends},
		{"5.19 five fragments, pings between",
			frames(c.part("1"), c.more("2"), c.ping("a"), c.more("3"), c.more("4"), c.ping("b"), c.last("5")),
			frames(s.pong("a"), s.pong("b"), s.text("12345")), stays},
		{"10.1 64 KiB in fragments of 1300", c.cut(long, 1300), frames(s.text(long)), stays},
	}
}

// 6: text is UTF-8, and where it is not, the connection fails at that octet.
func utf8Conformance() []conformance {
	const valid = "Hello-µ@ßöäüàá-UTF-8!! κόσμε 🏝"
	c, s := fromClient, fromServer
	invalid := frames(s.closing(1007, "text is not valid UTF-8"))
	cases := []conformance{
		{"6.1.1 empty", frames(c.text("")), frames(s.text("")), stays},
		{"6.1.2 three empty fragments", frames(c.part(""), c.more(""), c.last("")), frames(s.text("")), stays},
		{"6.1.3 empty, full, empty", frames(c.part(""), c.more("middle"), c.last("")), frames(s.text("middle")), stays},
		{"6.4.1 the rest of the frame is not waited for",
			frames(c.part("κόσμε"), c.begun("\xf4\x90", 1000)), invalid, ends},
		{"6.4.2 the rest of the message is not waited for",
			frames(c.part("κόσμε\xf4"), c.more("\x90")), invalid, ends},
	}
	for _, text := range []string{
		valid, "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80", "\x7f", "\xdf\xbf", "\xef\xbf\xbf",
		"\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xef\xbf\xbe", "\xf0\x9f\xbf\xbe",
		"κόσμε\xed\xa0\x80edited", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80",
		"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\x80", "\xbf", "\x80\xbf\x80", "\xc0 ", "\xe0 ", "\xf0 ",
		"\xfe", "\xff", "\xc0", "\xe0\x80", "\xf0\x80\x80", "\xdf", "\xef\xbf", "\xc0\xaf", "\xe0\x80\xaf",
		"\xf0\x80\x80\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xc0\x80", "\xe0\x80\x80",
		"\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "κόσμ\xce",
	} {
		want, end := frames(s.text(text)), stays
		if !utf8.ValidString(text) {
			want, end = invalid, ends
		}
		name := fmt.Sprintf("6 text %x", text)
		cases = append(cases,
			conformance{name, frames(c.text(text)), want, end},
			conformance{name + " in fragments of one", c.cut(text, 1), want, end})
	}
	return cases
}

// 7: the closing handshake.
func closeConformance() []conformance {
	const code = "\x03\xe8" // 1000
	c, s := fromClient, fromServer
	normal := frames(s.closing(1000, ""))
	reason, long := strings.Repeat("*", 123), strings.Repeat("*", 256<<10)
	return []conformance{
		{"7.1.1 behind a message", frames(c.text("Hello"), c.closing(code)),
			append(frames(s.text("Hello")), normal...), ends},
		{"7.1.2 twice", frames(c.closing(code), c.closing(code)), normal, ends}, // F16
		{"7.1.3 before a ping", frames(c.closing(code), c.ping("late")), normal, ends},
		{"7.1.4 before a text", frames(c.closing(code), c.text("late")), normal, ends},
		{"7.1.5 between fragments", frames(c.part("frag"), c.closing(code), c.last("ment")), normal, ends},
		{"7.1.6 behind 256 KiB, before a ping", frames(c.text(long), c.closing(code), c.ping("late")),
			append(frames(s.text(long)), normal...), ends},
		{"7.3.1 no code", frames(c.closing("")), frames(s.closing(0, "")), ends}, // F15 from here on
		{"7.3.2 half a code", frames(c.closing("a")), s.broken("close frame payload is one byte"), ends},
		{"7.3.4 with reason", frames(c.closing(code + "Hello World!")), normal, ends},
		{"7.3.5 with the longest reason", frames(c.closing(code + reason)), normal, ends},
		{"7.3.6 reason too long", frames(c.closing(code + reason + "*")), s.broken("control frame is over 125 bytes"), ends},
		{"7.5.1 reason not UTF-8", frames(c.closing(code + "\xce\xba\xed\xa0\x80")),
			frames(s.closing(1007, "text is not valid UTF-8")), ends},
	}
}

func closeCodeConformance() (cases []conformance) {
	c, s := fromClient, fromServer
	add := func(code uint16, want []string) {
		payload := string(binary.BigEndian.AppendUint16(nil, code))
		cases = append(cases,
			conformance{fmt.Sprintf("7 code %d", code), frames(c.closing(payload)), want, ends},
			conformance{fmt.Sprintf("7 code %d with reason", code), frames(c.closing(payload + "reason")), want, ends})
	}
	for _, code := range []uint16{
		1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
	} {
		add(code, frames(s.closing(engine.StatusCode(code), "")))
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		add(code, s.broken("close frame has an invalid status code"))
	}
	return cases
}

// 9: sizes, small enough for every run.
func sizeConformance() (cases []conformance) {
	c, s := fromClient, fromServer
	text := strings.Repeat("κ", 32<<10)
	for _, n := range []int{63, 1021, 16 << 10} { // the odd ones cut runes
		cases = append(cases, conformance{
			fmt.Sprintf("9.3 64 KiB in fragments of %d", n), c.cut(text, n), frames(s.text(text)), stays})
	}
	limit := strings.Repeat("*", 1<<20)
	tooBig := frames(s.closing(1009, "message is over the size limit"))
	return append(cases, // F10
		conformance{"9.1 the largest message", frames(c.text(limit)), frames(s.text(limit)), stays},
		conformance{"9.1 one octet more", frames(c.text(limit + "*")), tooBig, ends},
		conformance{"9.3 one octet more in fragments", c.cut(limit+"*", 128<<10), tooBig, ends})
}
