package codec

import (
	"testing"
	"unicode/utf8"
)

// canBecomeValid is the slow oracle: some bytes after p make it valid UTF-8.
func canBecomeValid(p []byte) bool {
	if utf8.Valid(p) {
		return true
	}
	var more func(p []byte, depth int) bool
	more = func(p []byte, depth int) bool {
		for _, c := range []byte{0x80, 0x90, 0xa0} {
			longer := append(p[:len(p):len(p)], c)
			if utf8.Valid(longer) || depth > 1 && more(longer, depth-1) {
				return true
			}
		}
		return false
	}
	return more(p, 3)
}

// firstBad returns the index of the first byte after which text is beyond
// repair, len(p) if there is none.
func firstBad(p []byte) int {
	for i := range p {
		if !canBecomeValid(p[:i+1]) {
			return i
		}
	}
	return len(p)
}

// checkValidator feeds p cut at two places and compares with the oracle.
func checkValidator(t *testing.T, p []byte, bad, i, j int) {
	t.Helper()
	var v Validator
	fed, ok := 0, true
	for _, piece := range [][]byte{p[:i], p[i:j], p[j:]} {
		ok = v.Feed(piece)
		fed += len(piece)
		if ok != (fed <= bad) {
			t.Fatalf("%x cut at %d, %d: Feed = %v after %d bytes, the first bad one is %d", p, i, j, ok, fed, bad)
		}
	}
	if v.Complete() != utf8.Valid(p) {
		t.Fatalf("%x cut at %d, %d: Complete = %v", p, i, j, v.Complete())
	}
}

// F11
func TestValidatorFailsAtTheFirstBadByte(t *testing.T) {
	// Every boundary of the table in RFC 3629 section 4.
	edges := []byte{
		0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
		0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
	}
	for _, a := range edges {
		for _, b := range edges {
			for _, c := range edges {
				p := []byte{a, b, c}
				if a >= 0xf0 && b >= 0x80 && b < 0xc0 {
					for _, d := range edges {
						p := append(p, d, 'x')
						checkValidator(t, p, firstBad(p), 1, 2)
						checkValidator(t, p, firstBad(p), 3, 4)
					}
				}
				bad := firstBad(p)
				checkValidator(t, p, bad, 0, 3)
				checkValidator(t, p, bad, 1, 2)
			}
		}
	}
}

func TestValidatorTakesEverySplitOfValidText(t *testing.T) {
	p := []byte("aé€😀\u0000\uD7FF\uE000\U0010FFFF ascii only for a longer stretch")
	for i := range len(p) + 1 {
		for j := i; j <= len(p); j++ {
			checkValidator(t, p, len(p), i, j)
		}
	}
}

// F11
func FuzzUTF8(f *testing.F) {
	for _, s := range []string{"", "plain", "aé€😀", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80", "\xe2\x82", "κόσμε\xf0\x80"} {
		f.Add([]byte(s), uint8(1), uint8(2))
	}
	f.Fuzz(func(t *testing.T, p []byte, i, j uint8) {
		first := min(int(i), len(p))
		checkValidator(t, p, firstBad(p), first, min(first+int(j), len(p)))
	})
}
