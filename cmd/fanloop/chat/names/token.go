package names

import (
	"errors"
	"strings"
)

// ErrToken: the text is not what Encode returns.
var ErrToken = errors.New("names: not an encoded name")

// plain are the bytes that Encode leaves as they are.
const plain = lower + upper + digits + "-"

// Encode returns name as one token of A-Z, a-z, 0-9, - and _, and another token for
// every other name: a byte that is not a letter, a digit or - becomes _ and two
// hexadecimal digits. It fits where dots, slashes or stars mean something: a subject,
// a segment of a URL, a label in a log. Letters keep their case, so it is no name
// for a file where case does not count. The name may be any bytes.
func Encode(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'_', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// Decode returns the name of a token. It takes nothing but what Encode returns, so a
// name has one token.
func Decode(token string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c == '_' {
			if i+2 >= len(token) {
				return "", ErrToken
			}
			high, low := digit(token[i+1]), digit(token[i+2])
			c = byte(high<<4 | low)
			if high < 0 || low < 0 || strings.IndexByte(plain, c) >= 0 {
				return "", ErrToken
			}
			i += 2
		} else if strings.IndexByte(plain, c) < 0 {
			return "", ErrToken
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// digit is the value of an upper-case hexadecimal digit; -1 if c is none.
func digit(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }
