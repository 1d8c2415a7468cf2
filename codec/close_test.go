package codec

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// F15
func TestClosePayloadsBySize(t *testing.T) {
	longest := strings.Repeat("r", 123)
	for _, tt := range []struct {
		payload string
		code    StatusCode
		reason  string
		err     error
	}{
		{"", StatusNoStatusRcvd, "", nil},
		{"\x03", 0, "", errShortClosePayload},
		{"\x03\xe8", StatusNormalClosure, "", nil},
		{"\x03\xe8" + longest, StatusNormalClosure, longest, nil},
		{"\x03\xe8caf\xc3\xa9", StatusNormalClosure, "café", nil},
		{"\x03\xe8caf\xc3", 0, "", ErrInvalidUTF8},
		{"\x03\xe8\xed\xa0\x80", 0, "", ErrInvalidUTF8},
		{"\x03\xed", 0, "", errInvalidStatusCode},
	} {
		code, reason, err := ParseClosePayload([]byte(tt.payload))
		if code != tt.code || reason != tt.reason || !errors.Is(err, tt.err) {
			t.Errorf("ParseClosePayload(%q) = %v, %q, %v; want %v, %q, %v", tt.payload, code, reason, err, tt.code, tt.reason, tt.err)
		}
	}
}

// F15
func TestOnlyWireCodesAreTaken(t *testing.T) {
	for number := range 1 << 16 {
		var want bool
		switch n := number; {
		case n == 1000, n == 1001, n == 1002, n == 1003:
			want = true
		case n == 1007, n == 1008, n == 1009, n == 1010, n == 1011, n == 1012, n == 1013, n == 1014:
			want = true
		case n/1000 == 3 || n/1000 == 4:
			want = true
		}
		code := StatusCode(number)
		if code.ValidOnWire() != want {
			t.Errorf("%v.ValidOnWire() = %v, want %v", code, !want, want)
		}
		got, _, err := ParseClosePayload(binary.BigEndian.AppendUint16(nil, uint16(number)))
		if want && (got != code || err != nil) || !want && !errors.Is(err, errInvalidStatusCode) {
			t.Errorf("ParseClosePayload of code %d = %v, %v", number, got, err)
		}
	}
}

func TestCloseReasonIsCutAtARune(t *testing.T) {
	for _, tt := range []struct{ reason, want string }{
		{"", ""},
		{"bye", "bye"},
		{strings.Repeat("a", 123), strings.Repeat("a", 123)},
		{strings.Repeat("a", 124), strings.Repeat("a", 123)},
		{strings.Repeat("a", 122) + "é", strings.Repeat("a", 122)},
		{strings.Repeat("a", 121) + "é!", strings.Repeat("a", 121) + "é"},
		{strings.Repeat("😀", 31), strings.Repeat("😀", 30)},
		{"good\xffbad", "good"},
		{"a\uFFFDb", "a\uFFFDb"},
	} {
		payload := AppendClosePayload(nil, StatusGoingAway, tt.reason)
		code, reason, err := ParseClosePayload(payload)
		if code != StatusGoingAway || reason != tt.want || err != nil || len(payload) > maxControlPayload {
			t.Errorf("reason %q came back as %v, %q, %v; want %q", tt.reason, code, reason, err, tt.want)
		}
	}
}

func TestNoCodeIsAnEmptyClosePayload(t *testing.T) {
	for _, code := range []StatusCode{0, StatusNoStatusRcvd} {
		if p := AppendClosePayload([]byte("x"), code, "lost"); string(p) != "x" {
			t.Errorf("AppendClosePayload(%d) appended %q", code, p[1:])
		}
	}
}

// F15
func FuzzClosePayload(f *testing.F) {
	for _, p := range []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xed", "\x0f\xa0caf\xc3\xa9", "\x03\xe8\xff", "\xff\xff"} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		code, reason, err := ParseClosePayload(p)
		if err != nil {
			var fault *ProtocolError
			if !errors.As(err, &fault) || code != 0 || reason != "" {
				t.Fatalf("ParseClosePayload(%q) = %v, %q, %v", p, code, reason, err)
			}
			return
		}
		if !utf8.ValidString(reason) {
			t.Fatalf("reason %q is not UTF-8", reason)
		}
		back := AppendClosePayload(nil, code, reason)
		if len(p) <= maxControlPayload && string(back) != string(p) {
			t.Fatalf("%q came back as %q", p, back)
		}
	})
}
