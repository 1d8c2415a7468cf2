package codec

import (
	"bytes"
	"strings"
	"testing"
)

func TestFramesWrittenAreFramesRead(t *testing.T) {
	server, client := &ReaderConfig{}, &ReaderConfig{Role: Client}
	for _, size := range []int{0, 1, 125, 126, 0xffff, 0x10000} {
		payload := bytes.Repeat([]byte("p"), size)
		want := strings.Repeat("p", size)
		for _, op := range []OpCode{Text, Binary, Ping} {
			if op.IsControl() && size > maxControlPayload {
				continue
			}
			toClient := AppendFrame([]byte("before"), op, true, payload)[len("before"):]
			toServer := AppendMaskedFrame([]byte("before"), op, true, payload)[len("before"):]
			for _, tt := range []struct {
				cfg   *ReaderConfig
				frame []byte
			}{{client, toClient}, {server, toServer}} {
				var r Reader
				r.Init(tt.cfg)
				ev, ok, n, err := r.Next(tt.frame)
				if err != nil || !ok || n != len(tt.frame) || ev.OpCode != op || !ev.Fin || string(ev.Payload) != want {
					t.Fatalf("%v of %d bytes came back as %v of %d bytes, %v, %v", op, size, ev.OpCode, len(ev.Payload), ok, err)
				}
			}
			if string(payload) != want {
				t.Fatal("writing changed the payload")
			}
		}
	}
}

func TestFragmentsWrittenAreOneMessageRead(t *testing.T) {
	var r Reader
	r.Init(new(ReaderConfig))
	b := AppendMaskedFrame(nil, Text, false, []byte("one, "))
	b = AppendMaskedFrame(b, Continuation, false, []byte("two, "))
	b = AppendMaskedFrame(b, Continuation, true, []byte("three"))
	ev, ok, n, err := r.Next(b)
	if err != nil || !ok || n != len(b) || ev.OpCode != Text || string(ev.Payload) != "one, two, three" {
		t.Errorf("Next = %+v, %v, %d, %v", ev, ok, n, err)
	}
}

func TestNamesOfOpCodesAndStatusCodes(t *testing.T) {
	for op := range OpCode(16) {
		reserved := op > Binary && op < Close || op > Pong
		if op.IsReserved() != reserved || strings.HasPrefix(op.String(), "reserved") != reserved {
			t.Errorf("%v: IsReserved %v", op, op.IsReserved())
		}
		if op.IsControl() != (op >= 8) || op.IsData() != (op == Text || op == Binary) {
			t.Errorf("%v: IsControl %v, IsData %v", op, op.IsControl(), op.IsData())
		}
	}
	for code, want := range map[StatusCode]string{
		StatusNormalClosure: "1000 normal closure", StatusTLSHandshake: "1015 TLS handshake", 1004: "1004", 4001: "4001",
	} {
		if got := code.String(); got != want {
			t.Errorf("String of %d = %q, want %q", uint16(code), got, want)
		}
	}
	if got := ErrMessageTooBig.Error(); got != "codec: message is over the size limit (status 1009 message too big)" {
		t.Errorf("Error() = %q", got)
	}
}
