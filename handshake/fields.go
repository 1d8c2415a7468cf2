package handshake

import (
	"iter"
	"strconv"
	"strings"
)

// field gives the offsets of one header line in the text of its head.
type field struct{ name, colon, value, end uint32 }

// fields holds the header lines of a head: one copy of its text and offsets into
// it. It is never changed after it was filled.
type fields struct {
	text string
	list []field
}

// fill reads the header lines, as many as that, that start at pos of text, a head
// that a Scanner accepted.
func (f *fields) fill(text string, pos, lines int) {
	f.text = text
	f.list = make([]field, 0, lines)
	for text[pos] != '\r' {
		colon := pos + strings.IndexByte(text[pos:], ':')
		end := colon + strings.IndexByte(text[colon:], '\r')
		next := end + len("\r\n")
		value := colon + 1
		for value < end && (text[value] == ' ' || text[value] == '\t') {
			value++
		}
		for end > value && (text[end-1] == ' ' || text[end-1] == '\t') {
			end--
		}
		f.list = append(f.list, field{uint32(pos), uint32(colon), uint32(value), uint32(end)})
		pos = next
	}
}

func (f *fields) name(i int) string  { return f.text[f.list[i].name:f.list[i].colon] }
func (f *fields) value(i int) string { return f.text[f.list[i].value:f.list[i].end] }

// each yields the values of every line with this name.
func (f *fields) each(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, at := range f.list {
			if int(at.colon-at.name) == len(name) && equalFold(f.name(i), name) && !yield(f.value(i)) {
				return
			}
		}
	}
}

// only gives the first value of name and how many lines have this name.
func (f *fields) only(name string) (value string, count int) {
	for i, at := range f.list {
		if int(at.colon-at.name) != len(name) || !equalFold(f.name(i), name) {
			continue
		}
		if count == 0 {
			value = f.value(i)
		}
		count++
	}
	return value, count
}

// hasElement reports whether a list named name holds element, case folded.
func (f *fields) hasElement(name, element string) bool {
	for list := range f.each(name) {
		for e := range elements(list) {
			if equalFold(e, element) {
				return true
			}
		}
	}
	return false
}

// Header gives the first value of the header called name in any case, without
// the whitespace around it, or "" when there is none. It allocates nothing.
func (f *fields) Header(name string) string {
	for v := range f.each(name) {
		return v
	}
	return ""
}

// Values gives every value of the header called name in any case, one for each
// line, in the order received; nil when there is none. The slice is the caller's.
func (f *fields) Values(name string) []string {
	var values []string
	for v := range f.each(name) {
		values = append(values, v)
	}
	return values
}

// Headers yields name and value of every header line in the order received, the
// names as they were sent. It allocates nothing.
func (f *fields) Headers() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range f.list {
			if !yield(f.name(i), f.value(i)) {
				return
			}
		}
	}
}

// HeaderMap gives the headers under their canonical names (Sec-Websocket-Key), as
// net/http does; like there, Host is not among them. The map is the caller's.
func (f *fields) HeaderMap() map[string][]string {
	m := make(map[string][]string, len(f.list))
	for name, value := range f.Headers() {
		if !equalFold(name, "Host") {
			name = canonical(name)
			m[name] = append(m[name], value)
		}
	}
	return m
}

// canonical writes a token the way net/textproto does: the first letter and those
// after a hyphen in upper case, the others in lower case.
func canonical(name string) string {
	b := []byte(name)
	upper := true
	for i, c := range b {
		c = lower(c)
		if upper && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		b[i] = c
		upper = c == '-'
	}
	return string(b)
}

// HeaderError says that a header to be sent was refused and why. Nothing was
// written. It is the sender's mistake, never the peer's.
type HeaderError struct {
	Name   string // the header as the application spelt it
	Reason string // what is wrong and what to do
}

func (e *HeaderError) Error() string {
	return "handshake: header " + strconv.Quote(e.Name) + ": " + e.Reason
}

// appendField writes one header line. CR, LF, NUL and the other control octets
// are refused, as they would let a value start a header of its own.
func appendField(dst []byte, name, value string) ([]byte, error) {
	if !isToken(name) {
		return dst, &HeaderError{name, "the name is not a token (RFC 9110 §5.6.2)"}
	}
	if !isValue(value) {
		return dst, &HeaderError{name, "the value holds CR, LF, NUL or another control octet; remove it"}
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...), nil
}

// appendFields writes what the application adds to the handshake.
func appendFields(dst []byte, header map[string][]string) ([]byte, error) {
	var err error
	for name, values := range header {
		if reserved(name) {
			return dst, &HeaderError{name, "the handshake itself writes or forbids this header; remove it"}
		}
		for _, value := range values {
			if dst, err = appendField(dst, name, value); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// MayAdd reports whether AppendResponse takes headers of this name from the application.
func MayAdd(name string) bool { return isToken(name) && !reserved(name) }

// reserved names the headers that belong to the handshake or would describe a
// body, which it does not have.
func reserved(name string) bool {
	const prefix = "Sec-WebSocket-"
	if len(name) >= len(prefix) && equalFold(name[:len(prefix)], prefix) {
		return true
	}
	for _, r := range [...]string{"Host", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding", "Trailer"} {
		if equalFold(name, r) {
			return true
		}
	}
	return false
}
