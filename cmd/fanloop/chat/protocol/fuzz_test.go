package protocol_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// FuzzCommands reads any bytes as what a client sent.
func FuzzCommands(f *testing.F) {
	for _, example := range examples(f, "client") {
		f.Add(byte(protocol.JSON), []byte(example))
	}
	golden, err := os.ReadFile("testdata/client.cbor.hex")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(golden)) {
		text, _, _ := strings.Cut(line, " ")
		binary, _ := hex.DecodeString(text)
		f.Add(byte(protocol.CBOR), binary)
	}
	for _, hostile := range []string{
		`{"type":"ping"}{"type":"ping"}`, "{}\n\n{}", `{"type":"ping","ref":1,"ref":2}`, `{"x":` + deep(40) + `}`,
		`{"type":"subscribe","topic":"e\u0301","attempt":1}`, `{"type":"ping","ref":4294967296}`, "{\"type\":\"pi\xff\"}",
	} {
		f.Add(byte(protocol.JSON), []byte(hostile))
	}
	f.Add(byte(protocol.CBOR), []byte("\xbf\x00\x0b\xff"))
	f.Add(byte(protocol.CBOR), []byte("\xa2\x00\x0b\x18\x63\x9a\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, encoding byte, message []byte) {
		e := protocol.Encoding(encoding & 1)
		limits := protocol.DefaultLimits()
		limits.Message, limits.Commands = 4096, 8
		before := slices.Clone(message)
		n, over := 0, false
		for c, err := range protocol.Commands(e, limits, message) {
			if n++; n > limits.Commands+1 || over {
				t.Fatalf("read on after %d results", n)
			}
			if c == nil {
				over = checkFault(t, err)
				continue
			}
			checkSame(t, c, limits)
		}
		if !bytes.Equal(before, message) {
			t.Fatal("the message was changed")
		}
	})
}

// FuzzFrames reads any bytes as what the service sent.
func FuzzFrames(f *testing.F) {
	for _, example := range examples(f, "server") {
		f.Add(byte(protocol.JSON), []byte(example))
		frame, err := read("server", protocol.JSON, []byte(example))
		if err != nil {
			f.Fatal(err)
		}
		binary, _ := write(protocol.CBOR, frame)
		f.Add(byte(protocol.CBOR), binary)
	}
	f.Fuzz(func(t *testing.T, encoding byte, message []byte) {
		e := protocol.Encoding(encoding & 1)
		for frame, err := range protocol.Frames(e, message) {
			if err != nil {
				if frame != nil {
					t.Fatal("a frame and an error")
				}
				continue
			}
			again, err := e.Append(nil, frame)
			if err != nil {
				continue // data in CBOR that is no JSON, and is not looked at here
			}
			if _, err := read("server", e, again); err != nil {
				t.Fatalf("%q: %v", again, err)
			}
		}
	})
}

// checkFault checks an answer, and reports whether the message ends with it.
func checkFault(t *testing.T, err error) bool {
	var fault *protocol.Error
	if !errors.As(err, &fault) || !slices.Contains(protocol.Codes(), fault.Code) {
		t.Fatalf("%#v", err)
	}
	answer, err := protocol.JSON.Append(nil, fault)
	if err != nil || len(answer) > 4096 {
		t.Fatalf("%d bytes, %v: %.200q", len(answer), err, answer)
	}
	return fault.Fatal()
}

// checkSame writes a command in both encodings and reads it again.
func checkSame(t *testing.T, c protocol.Command, limits protocol.Limits) {
	limits.Message *= 4 // escapes are longer than what they stand for
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		message, err := e.AppendCommand(nil, c)
		if err != nil || e == protocol.JSON && bytes.ContainsAny(message, "\r\n") {
			t.Fatalf("%#v: %q, %v", c, message, err)
		}
		for again, err := range protocol.Commands(e, limits, message) {
			if err != nil || !same(again, c) {
				t.Fatalf("%#v: %q: %#v, %v", c, message, again, err)
			}
		}
	}
}

// same compares what is written: no kinds are the same as an empty list of them.
func same(a, b protocol.Command) bool {
	for _, c := range []protocol.Command{a, b} {
		if s, is := c.(*protocol.Subscribe); is && len(s.Kinds) == 0 {
			s.Kinds = nil
		}
	}
	return reflect.DeepEqual(a, b)
}
