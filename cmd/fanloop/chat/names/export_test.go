package names

import (
	"errors"
	"strings"
)

// ErrToken: the text is not what Encode returns.
var ErrToken = errors.New("names: not an encoded name")

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
