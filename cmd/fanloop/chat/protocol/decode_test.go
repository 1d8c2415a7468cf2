package protocol_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// deep is JSON with n levels of arrays.
func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// What is malformed ends the connection, and says why without repeating what came.
func TestMalformedFramesAreFatal(t *testing.T) {
	for frame, reason := range map[string]string{
		`hello`:                                  "not JSON",
		`{"type":"ping"`:                         "not JSON",
		`{"type":"ping"}}`:                       "not JSON",
		`{"type":"ping"} {}`:                     "not JSON",
		`{"type":"ping",}`:                       "not JSON",
		`{'type':'ping'}`:                        "not JSON",
		"\xef\xbb\xbf{}":                         "not JSON",
		"{\"type\":\"pi\x00ng\"}":                "not JSON",
		"{\"type\":\"ping\",\"a\":\"\xff\"}":     "not JSON",
		`{"type":"ping","a":"\ud800"}`:           "not JSON",
		`{"type":"ping","ref":01}`:               "not JSON",
		`{"type":"ping","ref":NaN}`:              "not JSON",
		`null`:                                   "not an object",
		`7`:                                      "not an object",
		`"ping"`:                                 "not an object",
		`[{"type":"ping"}]`:                      "not an object",
		`{}`:                                     "not an object",
		`{"ref":1}`:                              "not an object",
		`{"type":7}`:                             "not an object",
		`{"type":null}`:                          "not an object",
		`{"Type":"ping"}`:                        "not an object",
		`{"type":"ping","ref":1,"ref":2}`:        "twice",
		`{"type":"ping","type":"ping"}`:          "twice",
		`{"type":"ping","x":1,"x":1}`:            "twice",
		`{"type":"ping","x":{"y":1,"\u0079":1}}`: "twice",
		`{"type":"publish","topic":"a","id":"b","data":{"y":1,"y":1}}`:                     "twice",
		`{"type":"nonsense","x":1,"x":1}`:                                                  "twice",
		`{"type":"ping","ref":"1"}`:                                                        "wrong type",
		`{"type":"ping","ref":0}`:                                                          "ref is a whole number from 1",
		`{"ref":0,"type":"nonsense"}`:                                                      "ref is a whole number from 1",
		`{"type":"ping","\u0072ef":0}`:                                                     "ref is a whole number from 1",
		`{"type":"subscribe","topic":"","ref":0}`:                                          "ref is a whole number from 1",
		`{"type":"ping","ref":-1}`:                                                         "wrong type",
		`{"type":"ping","ref":1.5}`:                                                        "wrong type",
		`{"type":"ping","ref":1e2}`:                                                        "wrong type",
		`{"type":"ping","ref":4294967296}`:                                                 "wrong type",
		`{"type":"ping","ref":1e309}`:                                                      "wrong type",
		`{"type":"ping","ref":[]}`:                                                         "wrong type",
		`{"type":"subscribe","topic":5}`:                                                   "wrong type",
		`{"type":"subscribe","topic":{}}`:                                                  "wrong type",
		`{"type":"subscribe","pos":"x"}`:                                                   "wrong type",
		`{"type":"subscribe","kinds":"x"}`:                                                 "wrong type",
		`{"type":"subscribe","kinds":[1]}`:                                                 "wrong type",
		`{"type":"subscribe","pos":{"epoch":"e","offset":5,"id":"x"}}`:                     "wrong type",
		`{"type":"subscribe","pos":{"epoch":"e","offset":"-5","id":"x"}}`:                  "wrong type",
		`{"type":"subscribe","pos":{"epoch":"e","offset":"05","id":"x"}}`:                  "wrong type",
		`{"type":"subscribe","pos":{"epoch":"e","offset":" 5","id":"x"}}`:                  "wrong type",
		`{"type":"subscribe","pos":{"epoch":"e","offset":"18446744073709551616","id":""}}`: "wrong type",
		`{"type":"ping","x":` + deep(32) + `}`:                                             "nested",
		`{"type":"ping","x":` + deep(20000) + `}`:                                          "nested",
		`{"type":"ping","x":"\"","y":` + deep(32) + `}`:                                    "nested",
		strings.Repeat("[", 30000):                                                         "nested",
		`{"x":` + strings.Repeat("[", 30000):                                               "nested",
		`{"type":"publish","topic":"a","id":"b","data":` + deep(32) + `}`:                  "nested",
	} {
		var faults []error
		for c, err := range protocol.Commands(protocol.JSON, protocol.DefaultLimits(), []byte(frame+"\n{\"type\":\"ping\"}")) {
			if c != nil {
				t.Errorf("%.80q: %#v", frame, c)
			}
			faults = append(faults, err)
		}
		var fault *protocol.Error
		if len(faults) != 1 || !errors.As(faults[0], &fault) || !errors.Is(fault, protocol.BadFrame) || !fault.Fatal() {
			t.Errorf("%.80q: %v", frame, faults)
			continue
		}
		if !strings.Contains(fault.Message, reason) {
			t.Errorf("%.80q: %q; want: %s", frame, fault.Message, reason)
		}
	}
}

// What is well-formed and cannot be done is answered, with its ref, and the message
// is read on.
func TestCommandsThatCannotBeAreAnswered(t *testing.T) {
	long := strings.Repeat("x", 256)
	for frame, want := range map[string]string{
		`{"type":"nonsense"`:  "unknown_command",
		`{"type":"connected"`: "unknown_command",
		`{"type":"Ping"`:      "unknown_command",
		`{"type":""`:          "unknown_command",
		`{"type":"subscribe"`: "bad_name: the topic is empty",
		`{"type":"subscribe","topic":null,"attempt":1`:                                                                           "bad_name",
		`{"type":"subscribe","topic":"` + long + `","attempt":1`:                                                                 "bad_name",
		`{"type":"subscribe","topic":"e\u0301","attempt":1`:                                                                      "bad_name",
		`{"type":"subscribe","topic":"a"`:                                                                                        "bad_field: attempt",
		`{"type":"subscribe","topic":"a","attempt":0`:                                                                            "bad_field: attempt",
		`{"type":"subscribe","topic":"a","attempt":1,"last":-1`:                                                                  "bad_field: last",
		`{"type":"subscribe","topic":"a","attempt":1,"mode":"x"`:                                                                 "bad_field: mode",
		`{"type":"subscribe","topic":"a","attempt":1,"kinds":["A B"]`:                                                            "bad_name",
		`{"type":"subscribe","topic":"a","attempt":1,"kinds":[` + strings.Repeat(`"a",`, 16) + `"a"]`:                            "bad_field: kinds",
		`{"type":"subscribe","topic":"a","attempt":1,"pos":{}`:                                                                   "bad_field: pos",
		`{"type":"subscribe","topic":"a","attempt":1,"pos":{"epoch":"e","offset":"1","id":"a\n"}`:                                "bad_field: pos",
		`{"type":"subscribe","topic":"a","attempt":1,"pos":{"epoch":"` + long + `","offset":"1","id":""}`:                        "bad_field: pos",
		`{"type":"unsubscribe","topic":"a"`:                                                                                      "bad_field: attempt",
		`{"type":"publish","topic":"a","data":1`:                                                                                 "bad_field: the id",
		`{"type":"publish","topic":"a","id":"a b","data":1`:                                                                      "bad_field: the id",
		`{"type":"publish","topic":"a","id":"` + long + `","data":1`:                                                             "bad_field: the id",
		`{"type":"publish","topic":"a","id":"b"`:                                                                                 "bad_field: data is missing",
		`{"type":"publish","topic":"","id":"b","data":1`:                                                                         "bad_name",
		`{"type":"publish","topic":"a","id":"b","kind":"X","data":1`:                                                             "bad_name",
		`{"type":"publish","topic":"a","id":"b","kind":"edit","data":1`:                                                          "bad_field: edit",
		`{"type":"publish","topic":"a","id":"b","kind":"delete","data":1,"target":{"offset":"1","id":"x"}`:                       "bad_field: delete",
		`{"type":"publish","topic":"a","id":"b","kind":"delete"`:                                                                 "bad_field: delete",
		`{"type":"publish","topic":"a","id":"b","kind":"react","target":{"offset":"1","id":"x"}`:                                 "bad_field: react",
		`{"type":"publish","topic":"a","id":"b","kind":"react","target":{"offset":"1","id":"x"},"data":1`:                        "bad_field: react",
		`{"type":"publish","topic":"a","id":"b","kind":"react","target":{"offset":"1","id":"x"},"data":null`:                     "bad_field: the reaction is empty",
		`{"type":"publish","topic":"a","id":"b","kind":"unreact","target":{"offset":"1","id":"x"},"data":{"emoji":"x"}`:          "bad_field: unreact",
		`{"type":"publish","topic":"a","id":"b","kind":"react","target":{"offset":"1","id":"x"},"data":""`:                       "bad_field: the reaction is empty",
		`{"type":"publish","topic":"a","id":"b","kind":"react","target":{"offset":"1","id":"x"},"data":"` + long + `"`:           "bad_field: the reaction",
		`{"type":"publish","topic":"a","id":"b","kind":"react","target":{"offset":"1","id":"x"},"data":"\u200b"`:                 "bad_field: the reaction",
		`{"type":"publish","topic":"a","id":"b","kind":"delete","target":{"offset":"0","id":"x"}`:                                "bad_field: target",
		`{"type":"publish","topic":"a","id":"b","kind":"delete","target":{"offset":"1","id":""}`:                                 "bad_field: target",
		`{"type":"publish","topic":"a","id":"b","data":"` + strings.Repeat("x", 16<<10) + `"`:                                    "too_large: data has 16386 bytes",
		`{"type":"history","topic":"a","before":{"epoch":"e","offset":"1","id":"x"},"after":{"epoch":"e","offset":"1","id":"x"}`: "bad_field: before and after",
		`{"type":"history","topic":"a","limit":-1`:                                                                               "bad_field: limit",
		`{"type":"presence","topic":"a","after":"x\n"`:                                                                           "bad_name",
		`{"type":"set","topic":"a","data":1`:                                                                                     "bad_name: the kind",
		`{"type":"set","topic":"a","kind":"typing","key":"` + long + `","data":1`:                                                "bad_name: the key",
		`{"type":"read","topic":"a"`:                                                                                             "bad_field: pos is missing",
		`{"type":"unread","topic":"a","pos":null`:                                                                                "bad_field: pos is missing",
		`{"type":"refresh"`:                                                           "bad_field: token",
		`{"type":"refresh","topic":"a","token":"x"`:                                   "bad_field: attempt",
		`{"type":"connect","version":1,"user":"a\nb"`:                                 "bad_name",
		`{"type":"connect","version":1,"session":"` + long + `"`:                      "bad_field: session",
		`{"type":"connect","version":1,"token":"` + strings.Repeat("x", 17<<10) + `"`: "bad_field: token",
	} {
		pings := 0
		for c, err := range protocol.Commands(protocol.JSON, protocol.DefaultLimits(), []byte(frame+`,"ref":7}`+"\n"+`{"type":"ping"}`)) {
			if c != nil {
				if _, is := c.(*protocol.Ping); !is {
					t.Errorf("%.120s: %#v", frame, c)
				}
				pings++
				continue
			}
			var fault *protocol.Error
			if !errors.As(err, &fault) || fault.Ref != 7 || fault.Fatal() || !strings.HasPrefix(err.Error(), "protocol: "+want) {
				t.Errorf("%.120s: %#v; want %s", frame, err, want)
			}
			if answer, err := protocol.JSON.Append(nil, fault); err != nil || len(answer) > 400 {
				t.Errorf("%.120s: answered with %d bytes (%v)", frame, len(answer), err)
			}
		}
		if pings != 1 {
			t.Errorf("%.120s: the command behind it came %d times", frame, pings)
		}
	}
}

// Another version is refused with those that are known, and ends the connection.
func TestAnotherVersionIsRefusedClearly(t *testing.T) {
	for _, frame := range []string{`{"type":"connect","ref":3,"version":2}`, `{"type":"connect","ref":3}`, `{"type":"connect","ref":3,"version":-1}`} {
		_, err := read("client", protocol.JSON, []byte(frame))
		var fault *protocol.Error
		if !errors.As(err, &fault) || !errors.Is(err, protocol.UnsupportedVersion) || !fault.Fatal() || fault.Ref != 3 || !reflect.DeepEqual(fault.Versions, []int{1}) {
			t.Errorf("%s: %#v", frame, err)
		}
	}
}

// What is not known is ignored, whatever it is.
func TestUnknownMembersAreIgnored(t *testing.T) {
	frame := `{"new":[1e309,{"type":"x"}],"type":"subscribe","__proto__":{"attempt":9},"topic":"a","Attempt":"no","attempt":2,"ref":5,"presence":null,"pos":null,"":0}`
	got, err := read("client", protocol.JSON, []byte(frame))
	if want := (&protocol.Subscribe{Ref: 5, Topic: "a", Attempt: 2}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%#v, %v", got, err)
	}
	for f, err := range protocol.Frames(protocol.JSON, []byte(`{"type":"later","x":1}`+"\n"+`{"type":"pong","ref":1,"time":5,"x":{}}`)) {
		if pong, is := f.(*protocol.Pong); !is || err != nil || pong.Time != 5 {
			t.Errorf("%#v, %v", f, err)
		}
	}
}

// A mode that is written out is the default all the same.
func TestLiveIsTheDefaultMode(t *testing.T) {
	got, err := read("client", protocol.JSON, []byte(`{"type":"subscribe","topic":"a","attempt":1,"mode":"live"}`))
	if err != nil || got.(*protocol.Subscribe).Mode != protocol.Live {
		t.Errorf("%#v, %v", got, err)
	}
}

// A client reads a message up to what is malformed.
func TestFramesEndAtWhatIsMalformed(t *testing.T) {
	for name, message := range map[string]string{
		"no JSON":    `{"type":"pong","time":1}` + "\n" + `{"type":"pong"` + "\n" + `{"type":"pong","time":2}`,
		"wrong type": `{"type":"pong","time":1}` + "\n" + `{"type":"pong","time":"x"}` + "\n" + `{"type":"pong","time":2}`,
		"cut off":    "\xa2\x00\x10\x07\x01" + "\xa2\x00\x10\x07",
		"no number":  "\xa2\x00\x10\x07\x01" + "\xa2\x00\x10\x07\x61x" + "\xa2\x00\x10\x07\x02",
	} {
		e := protocol.JSON
		if message[0] != '{' {
			e = protocol.CBOR
		}
		var times []int64
		var errs []error
		for f, err := range protocol.Frames(e, []byte(message)) {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			times = append(times, f.(*protocol.Pong).Time)
		}
		if len(errs) != 1 || !reflect.DeepEqual(times, []int64{1}) {
			t.Errorf("%s: %v, %v", name, times, errs)
		}
	}
}

// Data that a client may publish, nested as deep as may be, comes to clients wherever a frame has
// data. The frame around it does not count.
func TestDataOfFullDepthIsRead(t *testing.T) {
	data := protocol.Data(deep(31))
	body := protocol.Body{Data: data}
	list := []protocol.Message{{Offset: 1, ID: "a", Body: body}}
	values := []protocol.Value{{Key: "a", Data: data}}
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		for _, c := range []protocol.Command{
			&protocol.Publish{Topic: "a", ID: "b", Data: data},
			&protocol.Set{Topic: "a", Kind: "b", Data: data},
		} {
			message, err := e.AppendCommand(nil, c)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := read("client", e, message); err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("%d: %T: %v", e, c, err)
			}
		}
		for _, f := range []protocol.Frame{
			&protocol.Message{Topic: "a", ID: "b", Body: body},
			&protocol.Messages{Topic: "a", Messages: list},
			&protocol.Page{Topic: "a", Messages: list},
			&protocol.Subscribed{Topic: "a", Messages: list, Kinds: []protocol.KeyedSet{{Kind: "k", Values: values}}},
			&protocol.Values{Topic: "a", Kind: "k", Values: values},
		} {
			message, err := e.Append(nil, f)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := read("server", e, message); err != nil || !reflect.DeepEqual(got, f) {
				t.Errorf("%d: %T: %v", e, f, err)
			}
		}
	}
	if _, err := read("server", protocol.JSON, []byte(`{"type":"pong","x":`+deep(36)+`}`)); err == nil {
		t.Error("a frame that is nested deeper is read")
	}
}

// X51: offsets pass 2^53 unharmed, in both encodings.
func TestOffsetsPassTwoToThe53(t *testing.T) {
	for _, offset := range []uint64{0, 1, 1<<53 - 1, 1 << 53, 1<<53 + 1, 1<<64 - 1} {
		for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
			c := &protocol.Subscribe{Topic: "a", Attempt: 1, Pos: &protocol.Position{Epoch: "e", Offset: offset}}
			message, err := e.AppendCommand(nil, c)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := read("client", e, message); err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("%d: %s: %#v, %v", offset, message, got, err)
			}
		}
	}
}

// X27: a message over the limit is refused by its size. Its beginning is read to find
// out what to answer, and nothing of it is carried out.
func TestTooLargeMessagesAreAnsweredUnread(t *testing.T) {
	limits := protocol.DefaultLimits()
	text := strings.Repeat("x", 1<<20)
	for frame, ref := range map[string]protocol.Ref{
		`{"type":"publish","ref":7,"topic":"a","id":"b","data":"` + text + `"}`:         7,
		`{"ref":8,"type":"publish","data":"` + text + `"}`:                              8,
		` {"topic":"a","x":[1,{}],"ref":9,"data":"` + text + `"}`:                       9,
		`{"data":"` + text + `","ref":7}`:                                               0,
		`{"data":{"ref":7},"x":"` + text + `"}`:                                         0,
		`{"ref":"7","x":"` + text + `"}`:                                                0,
		`{"ref":4294967296,"x":"` + text + `"}`:                                         0,
		`["ref",7,"` + text + `"]`:                                                      0,
		text:                                                                            0,
		`{"type":"ping","ref":1}` + "\n" + `{"type":"ping","ref":2,"x":"` + text + `"}`: 1,
	} {
		checkTooLarge(t, protocol.JSON, limits, []byte(frame), ref)
	}
	large := &protocol.Publish{Ref: 70000, Topic: "a", ID: "b", Data: protocol.Data(`"` + text + `"`)}
	message, err := protocol.CBOR.AppendCommand(nil, large)
	if err != nil {
		t.Fatal(err)
	}
	checkTooLarge(t, protocol.CBOR, limits, message, 70000)
	for head, ref := range map[string]protocol.Ref{
		"":                              0, // text
		"\xa3\x00\x04\x02\x61a\x01\x07": 7, // behind a topic
		"\xa3\x00\x04\x0d\xa0\x01\x07":  0, // behind a map
		"\xa3\x00\x04\x02\x78\xff":      0, // behind a text that is cut off
		"\xa3\x00\x04\x01\x1b\x00\x00\x00\x01\x00\x00\x00\x00": 0, // too large a number
		"\xa3\x00\x04\x01\x1c":                                 0, // no number
		"\xa3\x00\x04\x01\x61x":                                0, // a text
	} {
		checkTooLarge(t, protocol.CBOR, limits, []byte(head+text), ref)
	}
}

func checkTooLarge(t *testing.T, e protocol.Encoding, limits protocol.Limits, message []byte, ref protocol.Ref) {
	t.Helper()
	n := 0
	for c, err := range protocol.Commands(e, limits, message) {
		n++
		var fault *protocol.Error
		if c != nil || !errors.As(err, &fault) || !errors.Is(err, protocol.TooLarge) || fault.Fatal() || fault.Ref != ref {
			t.Errorf("%.60q: %#v, %#v; want ref %d", message, c, err, ref)
		}
	}
	if n != 1 {
		t.Errorf("%.60q: %d results", message, n)
	}
}

// A message has as many commands as the limit says; those behind are refused, by the
// first of them.
func TestCommandsOfAMessageAreLimited(t *testing.T) {
	limits := protocol.DefaultLimits()
	limits.Commands = 3
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		var message []byte
		for ref := range protocol.Ref(5) {
			message, _ = e.AppendCommand(message, &protocol.Ping{Ref: ref + 1})
		}
		var refs []protocol.Ref
		for c, err := range protocol.Commands(e, limits, message) {
			var fault *protocol.Error
			if c != nil {
				refs = append(refs, c.Answers())
			} else if errors.As(err, &fault) && errors.Is(err, protocol.TooLarge) {
				refs = append(refs, 100+fault.Ref)
			}
		}
		if !reflect.DeepEqual(refs, []protocol.Ref{1, 2, 3, 104}) {
			t.Errorf("%v: %v", e, refs)
		}
	}
}

// Data is anything, null too, and comes without white space: a line end in it would
// end the frame it is sent on with.
func TestDataIsCompact(t *testing.T) {
	for data, want := range map[string]string{
		`null`: `null`, `0`: `0`, `""`: `""`, ` [ 1 , { } ] `: `[1,{}]`, "{\t\"a\"\r:\t1e309}": `{"a":1e309}`, `"a \n\u2028"`: `"a \n\u2028"`,
	} {
		got, err := read("client", protocol.JSON, []byte(`{"type":"set","topic":"a","kind":"x","data":`+data+`}`))
		if err != nil || string(got.(*protocol.Set).Data) != want {
			t.Errorf("%q: %q, %v", data, got.(*protocol.Set).Data, err)
		}
	}
	message, err := protocol.CBOR.AppendCommand(nil, &protocol.Set{Topic: "a", Kind: "x", Data: protocol.Data("[1,\n2]")})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read("client", protocol.CBOR, message); err != nil || string(got.(*protocol.Set).Data) != "[1,2]" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "[1", `{"a":1,"a":2}`, "\"\xff\"", deep(32)} {
		message, err := protocol.CBOR.AppendCommand(nil, &protocol.Publish{Topic: "a", ID: "b", Data: protocol.Data(bad)})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read("client", protocol.CBOR, message); err == nil {
			t.Errorf("%.40q: %#v", bad, got)
		}
	}
}

// What CBOR can say and JSON cannot is refused.
func TestMalformedCBORIsFatal(t *testing.T) {
	for name, message := range map[string]string{
		"nothing of a map":           "\xff",
		"an array":                   "\x80",
		"a number":                   "\x01",
		"no type":                    "\xa1\x01\x07",
		"a type as text":             "\xa1\x00\x64ping",
		"cut off":                    "\xa2\x00\x0b\x01",
		"a key twice":                "\xa3\x00\x0b\x01\x01\x01\x02",
		"indefinite map":             "\xbf\x00\x0b\xff",
		"indefinite text":            "\xa2\x00\x02\x02\x7f\x61a\xff",
		"a tag":                      "\xc0\xa1\x00\x0b",
		"not UTF-8":                  "\xa3\x00\x02\x02\x61\xff\x03\x01",
		"not UTF-8, not known":       "\xa2\x00\x0b\x18\x63\x61\xff",
		"not UTF-8, in what is not":  "\xa2\x00\x0b\x18\x63\x81\xa1\x01\x62\xc3\x28",
		"not UTF-8, as a key":        "\xa2\x00\x0b\x61\xff\x01",
		"twice in what is not known": "\xa2\x00\x0b\x18\x63\xa2\x01\x01\x01\x01",
		"not UTF-8, unknown command": "\xa2\x00\x19\x01\x0b\x18\x63\x61\xff",
		"not UTF-8 in a position":    "\xa4\x00\x02\x02\x61a\x03\x01\x0d\xa4\x0e\x61e\x05\x01\x04\x61x\x18\x63\x61\xff",
		"ref 0":                      "\xa2\x00\x0b\x01\x00",
		"ref 0, unknown command":     "\xa2\x00\x19\x01\x0b\x01\x00",
		"ref too large":              "\xa2\x00\x0b\x01\x1b\x00\x00\x00\x01\x00\x00\x00\x00",
		"ref negative":               "\xa2\x00\x0b\x01\x20",
		"ref as float":               "\xa2\x00\x0b\x01\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00",
		"huge array":                 "\xa2\x00\x0b\x18\x63\x9a\x00\xff\xff\xff",
		"deep":                       "\xa2\x00\x0b\x18\x63" + strings.Repeat("\x81", 40) + "\x00",
		"text for an offset":         "\xa4\x00\x02\x02\x61a\x03\x01\x0d\xa3\x0e\x61e\x05\x61\x35\x04\x60",
	} {
		n := 0
		for c, err := range protocol.Commands(protocol.CBOR, protocol.DefaultLimits(), []byte(message+"\xa1\x00\x0b")) {
			n++
			if c != nil || !errors.Is(err, protocol.BadFrame) {
				t.Errorf("%s: %#v, %v", name, c, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d results", name, n)
		}
	}
	// Unknown members, of any kind, are ignored there too.
	got, err := read("client", protocol.CBOR, []byte("\xa4\x00\x0b\x01\x07\x18\x63\xf6\x61x\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00"))
	if ping, is := got.(*protocol.Ping); err != nil || !is || ping.Ref != 7 {
		t.Errorf("%#v, %v", got, err)
	}
	// And an unknown command is answered.
	_, err = read("client", protocol.CBOR, []byte("\xa2\x00\x19\x01\x0b\x01\x07"))
	var fault *protocol.Error
	if !errors.As(err, &fault) || fault.Code != protocol.UnknownCommand || fault.Ref != 7 {
		t.Errorf("%#v", err)
	}
}
