package protocol_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// Malformed data is a malformed frame in both encodings, whatever else is wrong with the
// command: the same code, and neither a ref nor a topic.
func TestMalformedDataIsTheSameInBothEncodings(t *testing.T) {
	limits := protocol.DefaultLimits()
	limits.Data = 64
	for _, data := range []string{`{`, `x`, `{"a":1,"a":2}`, "\"\xff\"", `"` + strings.Repeat("z", 100), strings.Repeat("[", 32) + strings.Repeat("]", 32)} {
		for name, make := range map[string]func(protocol.Data) protocol.Command{
			"publish": func(d protocol.Data) protocol.Command {
				return &protocol.Publish{Ref: 7, Topic: "lobby", ID: "m", Data: d}
			},
			"publish, no id": func(d protocol.Data) protocol.Command { return &protocol.Publish{Ref: 7, Topic: "lobby", Data: d} },
			"publish, a bad topic": func(d protocol.Data) protocol.Command {
				return &protocol.Publish{Ref: 7, Topic: " ", ID: "m", Data: d}
			},
			"set": func(d protocol.Data) protocol.Command {
				return &protocol.Set{Ref: 7, Topic: "lobby", Kind: "cursor", Data: d}
			},
			"set, no kind": func(d protocol.Data) protocol.Command { return &protocol.Set{Ref: 7, Topic: "lobby", Data: d} },
			"set, a bad key": func(d protocol.Data) protocol.Command {
				return &protocol.Set{Ref: 7, Topic: "lobby", Kind: "cursor", Key: " ", Data: d}
			},
		} {
			good, err := protocol.JSON.AppendCommand(nil, make(protocol.Data(`"here"`)))
			if err != nil {
				t.Fatal(err)
			}
			inCBOR, err := protocol.CBOR.AppendCommand(nil, make(protocol.Data(data)))
			if err != nil {
				t.Fatal(err)
			}
			for e, frame := range map[protocol.Encoding][]byte{protocol.JSON: []byte(strings.Replace(string(good), `"here"`, data, 1)), protocol.CBOR: inCBOR} {
				n := 0
				for c, err := range protocol.Commands(e, limits, frame) {
					fault, is := errors.AsType[*protocol.Error](err)
					if n++; !is || fault.Code != protocol.BadFrame || fault.Ref != 0 || fault.Topic != "" || fault.ID != "" {
						t.Errorf("%s with %.20q in %v: %+v, %+v", name, data, e, c, fault)
					}
				}
				if n != 1 {
					t.Errorf("%s with %.20q in %v: %d commands", name, data, e, n)
				}
			}
		}
	}
}
