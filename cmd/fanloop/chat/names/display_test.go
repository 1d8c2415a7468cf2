package names_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
)

// What people call a user is shown without what nobody sees, and with all else.
func TestDisplayTakesOutWhatNobodySees(t *testing.T) {
	for name, want := range map[string]string{
		"Ann Example": "Ann Example", "": "", "  Ann ": "Ann", "Ann\nExample": "Ann Example", "Ann\tE": "Ann E", "a\x00b": "ab",
		"evil\u202etxt.exe": "eviltxt.exe", "a\u2066b\u2069": "ab", "\ufeffAnn": "Ann", "A\u00adnn\u200b": "Ann",
		"\u3164": "", "\u2800\u2800": "", "\u115f\u1160\u3164Ann": "Ann", "a\u2028b": "a b", "\u0301\u0301": "", "\u0301x": "x",
		"cafe\u0301": "caf\u00e9", "e\u200d\u0301": "\u00e9", "a\ufdd0b\U0001ffff": "ab", "a\xffb": "ab", "a\ufffdb": "ab",
		"❤️\u200d🔥": "❤️\u200d🔥", "葛\U000e0100城": "葛\U000e0100城", "😀\u200d\u202e": "😀", "می\u200cخواهم": "می\u200cخواهم",
		strings.Repeat("é", 100): strings.Repeat("é", 64), strings.Repeat("x", 127) + "é": strings.Repeat("x", 127),
		strings.Repeat("x", 127) + " y": strings.Repeat("x", 127), strings.Repeat("\u3164", 100_000) + "Ann": "",
	} {
		if got := names.Display(name); got != want {
			t.Errorf("%.60q: %q, want %q", name, got, want)
		}
	}
	for _, name := range allowed {
		if got := names.Display(name); got != name && len(name) <= names.MaxDisplay {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// Each character that nobody sees is refused inside of a name too, and taken out of one
// that is shown.
func TestHiddenCharactersAreRefusedAnywhere(t *testing.T) {
	hidden := []rune{0x00, 0x1b, 0x7f, 0x85, 0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x180b, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f,
		0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2060, 0x2061, 0x2064, 0x2065, 0x2066, 0x2069, 0x206a, 0x206f, 0x3164, 0xfe00, 0xfe0f,
		0xfeff, 0xffa0, 0xfff0, 0xfff9, 0xfffb, 0xfffd, 0xfdd0, 0x1bca0, 0x1d173, 0xe0001, 0xe0020, 0xe007f, 0xe0100, 0xe01ef, 0xe0fff, 0x10ffff}
	for _, r := range hidden {
		for _, name := range []string{string(r), "a" + string(r) + "b", "é" + string(r) + "é", "Ж" + string(r)} {
			if names.CheckUser(name) == nil {
				t.Errorf("%q is taken", name)
			}
			if shown := names.Display(name); slices.Contains([]rune(shown), r) {
				t.Errorf("%q is shown as %q", name, shown)
			}
		}
	}
}

// A reaction is an emoji or a short text.
func TestReactionsAreShortTexts(t *testing.T) {
	for _, good := range []string{"👍", "👍🏽", "❤️", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "1️⃣", ":party:", "+1", "👨\u200d👩\u200d👧\u200d👦"} {
		if err := names.CheckReaction(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", " ", "👍 ", "\u200b", "a\nb", strings.Repeat("👍", 17)} {
		if names.CheckReaction(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzDisplay: what is shown could be the name of a user, and Display does not change it.
func FuzzDisplay(f *testing.F) {
	for name := range refused {
		f.Add(name)
	}
	for _, name := range allowed {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		shown := names.Display(name)
		if names.CheckUser(name) == nil && shown != name {
			t.Errorf("%q is allowed, and shown as %q", name, shown)
		}
		if shown == "" {
			return
		}
		if err := names.CheckUser(shown); err != nil || names.Display(shown) != shown || !utf8.ValidString(shown) {
			t.Errorf("%q: %q, %v", name, shown, err)
		}
	})
}
