package protocol

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

var errNoType = errors.New("the frame is not an object with a type in it")

// Where the types are in newCommand and newFrame.
var (
	commandsByName, commandsByNumber = index(newCommand, Command.command)
	framesByName, framesByNumber     = index(newFrame, Frame.frame)
)

func index[T any](make []func() T, kindOf func(T) kind) (map[string]int, map[byte]int) {
	names, numbers := map[string]int{}, map[byte]int{}
	for i, new := range make {
		k := kindOf(new())
		names[k.name], numbers[k.number] = i, i
	}
	return names, numbers
}

// indexOf returns -1 if the type is not known.
func indexOf(names map[string]int, numbers map[byte]int, e Encoding, name string, number uint64) int {
	i, known := names[name]
	if e == CBOR {
		i, known = numbers[byte(number)]
		known = known && number < 256
	}
	if !known {
		return -1
	}
	return i
}

// kindOf finds the type of a frame, which is usually its first member. It reads no
// further; what is behind it is checked when the frame is read, but for the depth of JSON.
func (e Encoding) kindOf(frame []byte, depth int) (name string, number uint64, err error) {
	if e == CBOR {
		var head struct {
			Type *uint64 `cbor:"0,keyasint"`
		}
		if err := cborIn.Unmarshal(frame, &head); err != nil {
			return "", 0, err
		}
		if head.Type == nil {
			return "", 0, errNoType
		}
		return "", *head.Type, nil
	}
	if isDeep(frame, depth) {
		return "", 0, errDeep
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(frame))
	for t, err := d.ReadToken(); ; t, err = d.ReadToken() {
		switch {
		case err != nil:
			return "", 0, err
		case d.StackDepth() == 0 || t.Kind() != '{' && t.Kind() != '"':
			return "", 0, errNoType // no object, or its end
		case t.Kind() == '{':
			continue
		}
		isType := t.String() == "type"
		if isType && d.PeekKind() != '"' {
			return "", 0, errNoType
		}
		if isType {
			value, err := d.ReadToken()
			return value.String(), 0, err
		}
		if err := d.SkipValue(); err != nil {
			return "", 0, err
		}
	}
}

// peek finds the ref in the beginning of a message that is not read. 0: there is none
// in front of the first member that is cut off.
func (e Encoding) peek(head []byte) Ref {
	if e == CBOR {
		return peekCBOR(head)
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(head))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return 0
	}
	for {
		t, err := d.ReadToken()
		if err != nil || t.Kind() != '"' {
			return 0
		}
		if t.String() != "ref" {
			if d.SkipValue() != nil {
				return 0
			}
			continue
		}
		t, err = d.ReadToken()
		if err != nil || t.Kind() != '0' {
			return 0
		}
		return refOf(t.Uint())
	}
}

// refOf returns 0 for what cannot be a ref.
func refOf(n uint64) Ref {
	if n > 1<<32-1 {
		return 0
	}
	return Ref(n)
}

// isDeep reports whether JSON is nested more than so many levels.
func isDeep(text []byte, most int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// peekCBOR reads pairs of small numbers and texts until it finds the ref.
func peekCBOR(head []byte) Ref {
	if len(head) == 0 || head[0]>>5 != cborMap>>5 {
		return 0
	}
	head = head[1:]
	for len(head) > 1 && head[0] < 24 {
		key := head[0]
		major, n, rest, ok := cborHead(head[1:])
		switch {
		case !ok:
			return 0
		case key == 1 && major == cborUint:
			return refOf(n)
		case major == cborText && n <= uint64(len(rest)):
			rest = rest[n:]
		case major != cborUint:
			return 0
		}
		head = rest
	}
	return 0
}

// cborHead reads what appendCBORHead writes.
func cborHead(b []byte) (major byte, n uint64, rest []byte, ok bool) {
	if len(b) == 0 || b[0]&31 > 27 {
		return 0, 0, nil, false
	}
	major, info, b := b[0]&^31, b[0]&31, b[1:]
	if info < 24 {
		return major, uint64(info), b, true
	}
	size := 1 << (info - 24)
	if len(b) < size {
		return 0, 0, nil, false
	}
	for _, c := range b[:size] {
		n = n<<8 | uint64(c)
	}
	return major, n, b[size:], true
}
