package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// cborIn refuses what JSON cannot say, and whatever is twice or too deep.
var cborIn = must(cborOptions(cbor.ExtraDecErrorNone).DecMode())

func cborOptions(extra cbor.ExtraDecErrorCond) cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   maxCommandDepth,
		MaxArrayElements:  16384,
		MaxMapPairs:       1024,
		ExtraReturnErrors: extra,
	}
}

// cborKnown is cborIn that says when a map has members which a frame does not have: they
// are not looked at.
var cborKnown = must(cborOptions(cbor.ExtraDecErrorUnknownField).DecMode())

var (
	errDeep = fmt.Errorf("the frame is nested too deep; data has at most %d levels", maxDataDepth)
	errData = errors.New("data is not JSON")
	errRef  = errors.New("ref is a whole number from 1 to 4294967295")
)

// headSize is how much of a message that is too large is read.
const headSize = 256

// Commands returns the commands of a message, which a client sent, in order. What is
// wrong with a command is an [*Error] in its place; behind one that is Fatal, or says
// TooLarge, the message is not read on.
//
// message may be changed afterwards.
func Commands(e Encoding, limits Limits, message []byte) iter.Seq2[Command, error] {
	return func(yield func(Command, error) bool) {
		if len(message) > limits.Message {
			yield(nil, tooLarge(e, message, fmt.Sprintf("the message has %d bytes; the limit is %d", len(message), limits.Message)))
			return
		}
		count := 0
		for frame, rest := e.first(message); len(frame) > 0; frame, rest = e.first(rest) {
			if count++; count > limits.Commands {
				yield(nil, tooLarge(e, frame, fmt.Sprintf("the message has more than %d commands; this one and those behind it were not carried out", limits.Commands)))
				return
			}
			c, fault := e.command(frame, &limits)
			if fault == nil {
				if !yield(c, nil) {
					return
				}
			} else if !yield(nil, fault) || fault.Fatal() {
				return
			}
		}
	}
}

// Frames returns the frames of a message, which the service sent, in order, without
// those of a type that is not known. After an error the message is not read on.
func Frames(e Encoding, message []byte) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		for frame, rest := e.first(message); len(frame) > 0; frame, rest = e.first(rest) {
			name, number, err := e.kindOf(frame, maxFrameDepth)
			if err != nil {
				yield(nil, err)
				return
			}
			i := indexOf(framesByName, framesByNumber, e, name, number)
			if i < 0 {
				continue
			}
			f := newFrame[i]()
			if err := e.unmarshal(frame, f); err != nil || !yield(f, nil) {
				if err != nil {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// first cuts the first frame off a message. What is no frame is taken for one, and
// refused later.
func (e Encoding) first(message []byte) (frame, rest []byte) {
	if e == JSON {
		frame, rest, _ = bytes.Cut(bytes.TrimSpace(message), []byte{'\n'}) // behind empty lines, however many
		return bytes.TrimSpace(frame), rest
	}
	if len(message) == 0 {
		return nil, nil
	}
	var raw cbor.RawMessage
	rest, err := cborIn.UnmarshalFirst(message, &raw)
	if err != nil {
		return message, nil
	}
	return message[:len(message)-len(rest)], rest
}

// command reads one command and checks it.
func (e Encoding) command(frame []byte, limits *Limits) (Command, *Error) {
	name, number, err := e.kindOf(frame, maxCommandDepth)
	if err != nil {
		return nil, malformed(err)
	}
	i := indexOf(commandsByName, commandsByNumber, e, name, number)
	if i < 0 {
		var ref Ping
		if err := e.readCommand(frame, &ref); err != nil {
			return nil, malformed(err)
		}
		fault := Fail(nil, UnknownCommand, "")
		fault.Ref = ref.Ref
		return nil, fault
	}
	c := newCommand[i]()
	if err := e.readCommand(frame, c); err != nil {
		return nil, malformed(err)
	}
	if fault := check(c, limits); fault != nil {
		if !isJSON(dataOf(c)) { // of CBOR: in JSON the frame would have been none
			return nil, malformed(errData)
		}
		return nil, fault
	}
	return c, nil
}

// dataOf is the data of a command, nil if it has none.
func dataOf(c Command) Data {
	switch c := c.(type) {
	case *Publish:
		return c.Data
	case *Set:
		return c.Data
	}
	return nil
}

// readCommand reads a frame as a command, and refuses what is wrong in the rest of it.
func (e Encoding) readCommand(frame []byte, c Command) error {
	var err error
	if e == CBOR {
		err = readCBOR(frame, c)
	} else {
		err = json.Unmarshal(frame, c)
	}
	if err == nil && c.Answers() == 0 && e.hasRef(frame) {
		err = errRef
	}
	return err
}

// readCBOR reads a frame. What it passes over has to be well-formed too, as in JSON.
func readCBOR(frame []byte, c Command) error {
	err := cborKnown.Unmarshal(frame, c)
	var unknown *cbor.UnknownFieldError
	if !errors.As(err, &unknown) {
		return err
	}
	var all any
	if err := cborIn.Unmarshal(frame, &all); err != nil {
		return err
	}
	return cborIn.Unmarshal(frame, c)
}

// hasRef reports whether a frame that was read has a ref: then it is 0.
func (e Encoding) hasRef(frame []byte) bool {
	if e == JSON && !bytes.Contains(frame, []byte("ref")) && bytes.IndexByte(frame, '\\') < 0 {
		return false
	}
	var only struct {
		Ref *Ref `json:"ref" cbor:"1,keyasint"`
	}
	return e.unmarshal(frame, &only) == nil && only.Ref != nil
}

// malformed says what is wrong, and not what was received.
func malformed(err error) *Error {
	message := "not a frame of this protocol"
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &syntax):
		message = fmt.Sprintf("not JSON at byte %d of the frame", syntax.ByteOffset)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			message = "a name occurs twice in one object"
		}
	case errors.As(err, &semantic):
		message = fmt.Sprintf("a member has a value of the wrong type, at byte %d of the frame", semantic.ByteOffset)
	case errors.Is(err, errNoType), errors.Is(err, errDeep), errors.Is(err, errData), errors.Is(err, errRef):
		message = err.Error()
	}
	return Fail(nil, BadFrame, message)
}

func tooLarge(e Encoding, message []byte, text string) *Error {
	fault := Fail(nil, TooLarge, text)
	fault.Ref = e.peek(message[:min(len(message), headSize)])
	return fault
}

func (e Encoding) unmarshal(frame []byte, v any) error {
	if e == CBOR {
		return cborIn.Unmarshal(frame, v)
	}
	return json.Unmarshal(frame, v)
}
