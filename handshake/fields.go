package handshake

import (
	"iter"
	"strconv"
	"strings"
)

// fields holds the header lines of a head: one copy of its text, and where in it the
// headers are that a handshake asks for. It is never changed after it was filled.
type fields struct {
	text  string
	start uint32               // of the first header line
	lines uint32               // header lines
	seen  uint32               // see count
	first [namedHeaders]uint32 // where the first line of a named header begins
}

// count gives how many lines of h there are; 2 stands for more. Each header has two bits.
func (f *fields) count(h header) int { return int(f.seen >> (2 * h) & 3) }

// part is some of the text of a head.
type part struct{ from, to uint32 }

func (f *fields) cut(p part) string { return f.text[p.from:p.to] }

// fill reads the header lines, as many as that, that start at pos of text, a head
// that a Scanner accepted.
func (f *fields) fill(text string, pos, lines int) {
	f.text, f.start, f.lines = text, uint32(pos), uint32(lines)
	for text[pos] != '\r' {
		colon := pos + strings.IndexByte(text[pos:], ':')
		if h := named(text[pos:colon]); h != unnamed {
			n := f.count(h)
			if n == 0 {
				f.first[h] = uint32(pos)
			}
			if n < 2 {
				f.seen += 1 << (2 * h)
			}
		}
		pos = colon + strings.IndexByte(text[colon:], '\r') + len("\r\n")
	}
}

// line reads the header line at pos; next is where the following line begins.
func (f *fields) line(pos int) (name, value string, next int) {
	colon := pos + strings.IndexByte(f.text[pos:], ':')
	end := colon + strings.IndexByte(f.text[colon:], '\r')
	return f.text[pos:colon], trimOWS(f.text[colon+1 : end]), end + len("\r\n")
}

// more reports whether there is a header line at pos.
func (f *fields) more(pos int) bool { return pos < len(f.text) && f.text[pos] != '\r' }

// each yields the values of every line with this name.
func (f *fields) each(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for pos := int(f.start); f.more(pos); {
			var n, value string
			n, value, pos = f.line(pos)
			if equalFold(n, name) && !yield(value) {
				return
			}
		}
	}
}

// eachOf is each for a named header.
func (f *fields) eachOf(h header) iter.Seq[string] {
	return func(yield func(string) bool) {
		n := f.count(h)
		if n == 0 {
			return
		}
		for pos, again := int(f.first[h]), true; again && f.more(pos); again = n > 1 {
			var name, value string
			name, value, pos = f.line(pos)
			if named(name) == h && !yield(value) {
				return
			}
		}
	}
}

// only gives the first value of h and how many lines have this name; 2 stands for more.
func (f *fields) only(h header) (value string, count int) {
	p, count := f.place(h)
	return f.cut(p), count
}

// place is only for where the value is.
func (f *fields) place(h header) (value part, count int) {
	count = f.count(h)
	if count == 0 {
		return part{}, 0
	}
	from := f.first[h] + uint32(len(headerNames[h])+len(":"))
	to := from + uint32(strings.IndexByte(f.text[from:], '\r'))
	for from < to && isOWS(f.text[from]) {
		from++
	}
	for from < to && isOWS(f.text[to-1]) {
		to--
	}
	return part{from, to}, count
}

// hasElement reports whether a list named h holds element, case folded.
func (f *fields) hasElement(h header, element string) bool {
	if value, n := f.only(h); n == 0 || n == 1 && equalFold(value, element) { // as most are
		return n > 0
	}
	for list := range f.eachOf(h) {
		if equalFold(list, element) {
			return true
		}
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
	if h := named(name); h != unnamed {
		value, _ := f.only(h)
		return value
	}
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
		for pos := int(f.start); f.more(pos); {
			var name, value string
			name, value, pos = f.line(pos)
			if !yield(name, value) {
				return
			}
		}
	}
}

// HeaderMap gives the headers under their canonical names (Sec-Websocket-Key), as
// net/http does; like there, Host is not among them. The map is the caller's.
func (f *fields) HeaderMap() map[string][]string {
	m := make(map[string][]string, f.lines)
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
