package protocol

import (
	"encoding/binary"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendMessage is Append for a live message, without reflection and without memory
// of its own. It is called once for each message and node, and the result goes to
// all subscribers. m.Data is copied as it is: it is JSON without line ends, as a
// decoder returns it.
func (e Encoding) AppendMessage(message []byte, m *Message) []byte {
	if e == CBOR {
		return appendCBORMessage(message, m)
	}
	b := append(separate(message), `{"type":"message"`...)
	b = appendText(b, `,"topic":`, m.Topic)
	b = appendOffset(b, `,"offset":"`, m.Offset)
	b = appendOffset(b, `,"prev":"`, m.Prev)
	b = append(b, `,"id":`...)
	b = quote(b, m.ID)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, m.Time, 10)
	b = appendText(b, `,"user":`, m.User)
	b = appendText(b, `,"name":`, m.Name)
	b = appendText(b, `,"kind":`, m.Kind)
	if t := m.Target; t != nil {
		b = append(b, `,"target":{"offset":"`...)
		b = strconv.AppendUint(b, t.Offset, 10)
		b = append(b, `","id":`...)
		b = append(quote(b, t.ID), '}')
	}
	if m.Data != nil {
		b = append(b, `,"data":`...)
		b = append(b, m.Data...)
	}
	return append(b, '}')
}

func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return quote(append(b, name...), value)
}

func appendOffset(b []byte, name string, offset uint64) []byte {
	if offset == 0 {
		return b
	}
	b = strconv.AppendUint(append(b, name...), offset, 10)
	return append(b, '"')
}

// quote replaces invalid UTF-8; there is no other error.
func quote(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// Major types of CBOR, in the upper three bits.
const (
	cborUint = 0 << 5
	cborNint = 1 << 5
	cborData = 2 << 5
	cborText = 3 << 5
	cborMap  = 5 << 5
)

// appendCBORMessage writes the members in the order of the struct.
func appendCBORMessage(message []byte, m *Message) []byte {
	head := len(message)
	b := append(message, cborMap|3, 0, (*Message)(nil).frame().number)
	if m.Topic != "" {
		b[head]++
		b = appendCBORText(b, 2, m.Topic)
	}
	if m.Offset != 0 {
		b[head]++
		b = appendCBORHead(append(b, 5), cborUint, m.Offset)
	}
	if m.Prev != 0 {
		b[head]++
		b = appendCBORHead(append(b, 6), cborUint, m.Prev)
	}
	b = appendCBORText(b, 4, m.ID)
	b = append(b, 7)
	if m.Time < 0 {
		b = appendCBORHead(b, cborNint, uint64(-1-m.Time))
	} else {
		b = appendCBORHead(b, cborUint, uint64(m.Time))
	}
	return appendCBORBody(b, head, &m.Body)
}

func appendCBORBody(b []byte, head int, body *Body) []byte {
	for key, value := range [...]string{8: body.User, 9: body.Name, 10: body.Kind} {
		if value != "" {
			b[head]++
			b = appendCBORText(b, byte(key), value)
		}
	}
	if t := body.Target; t != nil {
		b[head]++
		b = append(b, 11, cborMap|2, 5)
		b = appendCBORHead(b, cborUint, t.Offset)
		b = appendCBORText(b, 4, t.ID)
	}
	if len(body.Data) > 0 {
		b[head]++
		b = appendCBORHead(append(b, 12), cborData, uint64(len(body.Data)))
		b = append(b, body.Data...)
	}
	return b
}

func appendCBORText(b []byte, key byte, value string) []byte {
	b = appendCBORHead(append(b, key), cborText, uint64(len(value)))
	return append(b, value...)
}

// appendCBORHead appends a major type with its argument, in the shortest way.
func appendCBORHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}
