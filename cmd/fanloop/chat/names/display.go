package names

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Display returns what people call a user, for others to see: name in Unicode normal form
// C, without the characters that the Check functions refuse, with a space in place of each
// line end, without white space around it, and cut off behind MaxDisplay bytes. It may be
// empty. Display of what it returned is the same.
func Display(name string) string {
	name = cut(name, 8*MaxDisplay) // what is behind that is not looked at
	for {
		shown := cut(visible(name), MaxDisplay)
		if shown == name {
			return shown
		}
		name = shown
	}
}

// visible is a name without what is refused in it. What is left may have new faults, as
// when a joiner has lost what it joined.
func visible(name string) string {
	runes := []rune(norm.NFC.String(strings.ToValidUTF8(name, "")))
	var b strings.Builder
	for i, r := range runes {
		switch {
		case faultAt(runes, i) == "":
			b.WriteRune(r)
		case unicode.IsSpace(r): // a line end, or a tab
			b.WriteByte(' ')
		}
	}
	shown := strings.TrimFunc(b.String(), isBlank)
	return strings.TrimLeftFunc(shown, func(r rune) bool { return unicode.IsMark(r) || isBlank(r) })
}

// cut returns at most max bytes of s, whole characters of them.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}
