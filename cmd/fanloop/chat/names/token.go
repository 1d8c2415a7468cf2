package names

import "strings"

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
