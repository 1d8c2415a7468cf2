package protocol

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Encoding is how frames are written.
type Encoding byte

// Encodings.
const (
	JSON Encoding = iota // text messages
	CBOR                 // binary messages
)

// Subprotocol is the encoding's name in Sec-WebSocket-Protocol.
func (e Encoding) Subprotocol() string {
	if e == CBOR {
		return "fanloop.chat.v1.cbor"
	}
	return "fanloop.chat.v1.json"
}

// Subprotocols are those of all encodings, in the order in which a server prefers
// them.
func Subprotocols() []string { return []string{JSON.Subprotocol(), CBOR.Subprotocol()} }

// EncodingOf returns the encoding of a subprotocol. None means JSON.
func EncodingOf(subprotocol string) (e Encoding, known bool) {
	switch subprotocol {
	case "", JSON.Subprotocol():
		return JSON, true
	case CBOR.Subprotocol():
		return CBOR, true
	}
	return JSON, false
}

// How deep values are nested at most. Data is one level deep in a command, and up to five in
// what the service sends: in a value of a set of kinds of subscribed.
const (
	maxDataDepth    = 31
	maxCommandDepth = maxDataDepth + 1
	maxFrameDepth   = maxDataDepth + 5
)

// Names are well-formed when they come here; what a backend says may be not.
var jsonOptions = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true))

var cborOut = must(cbor.EncOptions{NilContainers: cbor.NilContainerAsEmpty}.EncMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Append appends a frame that the service sends to a message that is being made, and
// returns the message. The frame is separated from the one before it, so any number
// make a batch. Messages and errors are never refused; with an error nothing was
// appended, and some Data is no JSON.
func (e Encoding) Append(message []byte, f Frame) ([]byte, error) {
	if m, is := f.(*Message); is {
		return e.AppendMessage(message, m), nil
	}
	return e.append(message, f.frame(), f)
}

// AppendCommand appends a command that a client sends, as Append does.
func (e Encoding) AppendCommand(message []byte, c Command) ([]byte, error) {
	return e.append(message, c.command(), c)
}

// append puts the type in front of the members of v.
func (e Encoding) append(message []byte, k kind, v any) ([]byte, error) {
	if e == CBOR {
		members, err := cborOut.Marshal(v)
		if err != nil {
			return message, fmt.Errorf("protocol: %w", err)
		}
		// A map of up to 22 members, whose first byte has their number.
		message = append(message, members[0]+1, 0, k.number)
		return append(message, members[1:]...), nil
	}
	members, err := json.Marshal(v, jsonOptions)
	if err != nil {
		return message, fmt.Errorf("protocol: %w", err)
	}
	message = append(separate(message), `{"type":"`...)
	message = append(append(message, k.name...), '"')
	if len(members) > 2 {
		message = append(message, ',')
	}
	return append(message, members[1:]...), nil
}

// separate ends the frame before another one.
func separate(message []byte) []byte {
	if len(message) > 0 {
		message = append(message, '\n')
	}
	return message
}

// Join appends a message that holds whole frames to another one.
func (e Encoding) Join(message, frames []byte) []byte {
	if e == JSON {
		message = separate(message)
	}
	return append(message, frames...)
}
