package names

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// faultAt is what is wrong with the character at i, beside those around it; empty:
// nothing is.
func faultAt(runes []rune, i int) string {
	prev, next := around(runes, i)
	switch r := runes[i]; {
	case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
		return "has a control character or a line end"
	case r == utf8.RuneError || isNoncharacter(r):
		return "has a code point that is no character"
	case isJoiner(r):
		if !(joins(prev) || isSelector(prev)) || !joins(next) {
			return "has a joiner that joins nothing"
		}
	case isSelector(r):
		if !joins(prev) && !isKeycap(prev, r, next) {
			return "has a variation selector that varies nothing"
		}
	case isTag(r):
		if !inFlag(runes, i) {
			return "has an invisible format character"
		}
	case unicode.Is(unicode.Cf, r):
		return "has an invisible format character"
	case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return "has a filler that nobody sees"
	}
	return ""
}

// around are the characters beside the one at i; 0: there is none.
func around(runes []rune, i int) (prev, next rune) {
	if i > 0 {
		prev = runes[i-1]
	}
	if i+1 < len(runes) {
		next = runes[i+1]
	}
	return prev, next
}

// isBlank: white space, and characters that are drawn as nothing else.
func isBlank(r rune) bool {
	const brailleBlank, nullNotehead = 0x2800, 0x1d159
	return unicode.IsSpace(r) || r == brailleBlank || r == nullNotehead
}

// isJoiner: emoji, and several scripts, are not written without U+200C and U+200D.
func isJoiner(r rune) bool { return r == 0x200c || r == 0x200d }

// isSelector: emoji, names in Chinese characters, and several scripts have them.
func isSelector(r rune) bool { return unicode.Is(unicode.Variation_Selector, r) }

// joins reports whether a joiner or a selector beside r can be seen.
func joins(r rune) bool {
	return r > unicode.MaxASCII && !isBlank(r) && !isHidden(r) &&
		!unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Inherited)
}

// isHidden: it has no shape of its own.
func isHidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || isNoncharacter(r)
}

// isKeycap: the emoji of a key begins with a character of ASCII.
func isKeycap(prev, selector, next rune) bool {
	return (prev == '#' || prev == '*' || '0' <= prev && prev <= '9') && selector == 0xfe0f && next == 0x20e3
}

// isTag: the flags of parts of countries are spelled with them.
func isTag(r rune) bool { return 0xe0020 <= r && r <= 0xe007f }

// flags are those whose tags can be seen.
var flags = []string{
	"\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", // England
	"\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", // Scotland
	"\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f", // Wales
}

const flagLength = 7 // runes

// inFlag reports whether the tag at i belongs to one of the flags.
func inFlag(runes []rune, i int) bool {
	begin := i - 1
	for begin > i-flagLength && begin >= 0 && isTag(runes[begin]) {
		begin--
	}
	return begin >= 0 && begin > i-flagLength && slices.Contains(flags, string(runes[begin:min(begin+flagLength, len(runes))]))
}

func isNoncharacter(r rune) bool { return r&0xfffe == 0xfffe || 0xfdd0 <= r && r <= 0xfdef }
