package protocol_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// randomMessage is a message as a store may have it.
func randomMessage(r *rand.Rand) *protocol.Message {
	text := func() string {
		all := []string{"", "a", "room:lobby", "\"\\/\b\n\u0000", "é😀\u2028<&>", strings.Repeat("x", r.IntN(300))}
		return all[r.IntN(len(all))]
	}
	number := func() uint64 { return r.Uint64() >> r.IntN(64) & uint64(-r.IntN(2)) }
	m := &protocol.Message{Topic: text(), Offset: number(), Prev: number(), ID: text(), Time: int64(number())}
	m.User, m.Name, m.Kind = text(), text(), text()
	if r.IntN(2) == 0 {
		m.Target = &protocol.Target{Offset: number(), ID: text()}
	}
	if data := []string{"", "null", `{"text":"\u2028 <x>"}`, `["` + strings.Repeat("x", r.IntN(300)) + `"]`}[r.IntN(4)]; data != "" {
		m.Data = protocol.Data(data)
	}
	return m
}

// AppendMessage writes what is written by reflection.
func TestMessagesAreWrittenAsAllFramesAre(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 1000 {
		m := randomMessage(r)
		if i%100 == 0 {
			m.Data = protocol.Data(`"` + strings.Repeat("x", 70000) + `"`)
		}
		for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
			fast := e.AppendMessage([]byte("before"), m)
			slow, err := e.AppendSlowly([]byte("before"), m)
			if err != nil || !bytes.Equal(fast, slow) {
				t.Fatalf("%v\n%.500q\n%.500q", err, fast, slow)
			}
			got, err := read("server", e, e.AppendMessage(nil, m))
			if err != nil || !reflect.DeepEqual(got, m) {
				t.Fatalf("%v\n%#v\n%#v", err, got, m)
			}
		}
	}
}

// A live message takes no memory of its own.
func TestAppendMessageAllocatesNothing(t *testing.T) {
	m := &protocol.Message{Topic: "room:lobby", Offset: 81231, Prev: 81220, ID: "d0aa17", Time: 1764329601050}
	m.User, m.Data, m.Target = "bob", protocol.Data(`{"text":"hi"}`), &protocol.Target{Offset: 5, ID: "x"}
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		buffer := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { buffer = e.AppendMessage(buffer[:0], m) }); n != 0 {
			t.Errorf("%d: %v allocations", e, n)
		}
	}
}

// Frames that are put together are one message, whoever put them together.
func TestBatchesAreReadInOrder(t *testing.T) {
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		var batch []byte
		var want []protocol.Frame
		for i := range 5 {
			f := &protocol.Note{Topic: "a", Count: uint64(i)}
			m := &protocol.Message{Topic: "b", Offset: uint64(i + 1)}
			want = append(want, f, m)
			var err error
			if batch, err = e.Append(batch, f); err != nil {
				t.Fatal(err)
			}
			batch = e.Join(batch, e.AppendMessage(nil, m))
		}
		var got []protocol.Frame
		for f, err := range protocol.Frames(e, batch) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d: %q", e, batch)
		}
	}
}

// Data that is no JSON is not sent.
func TestDataThatIsNoJSONIsRefused(t *testing.T) {
	before := []byte("x")
	after, err := protocol.JSON.Append(before, &protocol.Values{Topic: "a", Kind: "k", Values: []protocol.Value{{Key: "b", Data: protocol.Data("{")}}})
	if err == nil || string(after) != "x" {
		t.Errorf("%q, %v", after, err)
	}
}

// What a backend said in an answer may be no UTF-8; the answer is.
func TestWhatBackendsSayIsWritten(t *testing.T) {
	message, err := protocol.JSON.Append(nil, protocol.Fail(nil, protocol.Forbidden, "no\xff\n\u2028"))
	if err != nil || bytes.Contains(message, []byte("\n")) {
		t.Errorf("%q, %v", message, err)
	}
	if f, err := read("server", protocol.JSON, message); err != nil || f.(*protocol.Error).Message != "no\ufffd\n\u2028" {
		t.Errorf("%#v, %v", f, err)
	}
}

func TestEncodingsAreChosenBySubprotocol(t *testing.T) {
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		if got, known := protocol.EncodingOf(e.Subprotocol()); got != e || !known {
			t.Errorf("%q: %v, %v", e.Subprotocol(), got, known)
		}
	}
	if all := protocol.Subprotocols(); len(all) != 2 || all[0] != protocol.JSON.Subprotocol() {
		t.Errorf("%q", all)
	}
	if e, known := protocol.EncodingOf(""); e != protocol.JSON || !known {
		t.Error("none is not JSON")
	}
	if _, known := protocol.EncodingOf("fanloop.chat.v2.json"); known {
		t.Error("v2 is known")
	}
}
