package names_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// allowed are names that look like trouble and are none (X47).
var allowed = []string{
	"a.b", ">", "*", "a b", "a.>", "../x", "%2e", "%2E%2E/", "/", "\\", "?", "#", "&", "$JS.API", "$SYS", "_INBOX.x",
	"__proto__", "constructor", "toString", "null", "0", "-1", "<img onerror>", "'\"`", "{}", "a+b", "~",
	"room", "Room", "ROOM", "caf\u00e9", "😀", "👩\u200d💻", "❤️\u200d🔥", "👩🏽\u200d🚀", "日本語", "שלום", "ශ්\u200dරී", "می\u200cخواهم", "a:b",
	"葛\U000e0100城", "1\ufe0f\u20e3", "❤\ufe0f", "☎\ufe0e", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "x\u0323y", "⠓⠊", "👍🏽", "🇩🇪",
	strings.Repeat("x", 255), strings.Repeat("é", 127),
}

var refused = map[string]string{
	"":                          "empty",
	strings.Repeat("x", 256):    "longer",
	strings.Repeat("x", 64<<10): "longer",
	"a\r\nb":                    "control",
	"a\x00":                     "control",
	"\x7f":                      "control",
	"a\u0085b":                  "control",
	"a\u2028b":                  "line end",
	"cafe\u0301":                "normal form",
	"\u212b":                    "normal form", // the Angstrom sign is the letter
	"\xff":                      "UTF-8",
	"\xc0\xae":                  "UTF-8",
	"\xed\xa0\x80":              "UTF-8", // a surrogate
	" a":                        "white space",
	"a\u3000":                   "white space",
	"a\u00a0":                   "white space",
	"a\u202eb":                  "format",
	"a\u2066b":                  "format",
	"a\ufeffb":                  "format",
	"a\u00adb":                  "format",
	"a\u200db":                  "joiner",
	"\u200d":                    "joiner",
	"😀\u200d":                   "joiner",
	"😀\u200d\u200d😀":            "joiner",
	"é\u200dé":                  "joiner", // these letters join nothing
	"\u3164":                    "filler",
	"a\u3164":                   "filler",
	"\u115f\u1160":              "filler",
	"\uffa0":                    "filler",
	"a\u034fb":                  "filler",
	"a\u17b4":                   "filler",
	"\u2800":                    "white space",
	"a\u2800":                   "white space",
	"\U0001d159":                "white space",
	"\u0301":                    "mark",
	"\u20e3":                    "mark",
	"\ufe0f":                    "mark",
	"a\ufe0f":                   "selector",
	"1\ufe0f":                   "selector",
	"я\ufe0f":                   "selector",
	"❤\ufe0f\ufe0f":             "selector",
	"a\u180bb":                  "selector",
	"a\u180eb":                  "format",
	"a\u2062b":                  "format",
	"a\u061cb":                  "format",
	"a\ufff9b":                  "format",
	"a\U000e0061":               "format", // a tag outside of a flag
	"🏴\U000e0067\U000e007f":     "format", // one of no flag
	"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f\U000e0067": "format",
	"a\ufffdb":                       "no character",
	"a\ufdd0":                        "no character",
	"a\U0001ffff":                    "no character",
	":a":                             "namespace",
	"Room:a":                         "namespace",
	"a b:c":                          "namespace",
	strings.Repeat("n", 65) + ":one": "namespace",
}

// X47: names that mean something elsewhere are names like others; names that could
// be taken for another are refused, with the reason.
func TestNamesAreWhatTheyAreOrRefused(t *testing.T) {
	for _, name := range allowed {
		if err := names.CheckTopic(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, reason := range refused {
		err := names.CheckTopic(name)
		if !errors.Is(err, names.ErrName) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.80q: %v; want: %s", name, err, reason)
		}
	}
}

// Users and keys have the same rules, are shorter, and have no namespace.
func TestUsersAndKeysHaveTheRulesOfNames(t *testing.T) {
	for what, check := range map[string]func(string) error{"user": names.CheckUser, "key": names.CheckKey} {
		for _, good := range []string{"ann", "Ann B", ":x", "X:y", strings.Repeat("x", 128)} {
			if err := check(good); err != nil {
				t.Errorf("%s %q: %v", what, good, err)
			}
		}
		for _, bad := range []string{"", "e\u0301", "a\n", strings.Repeat("x", 129)} {
			if err := check(bad); !errors.Is(err, names.ErrName) || !strings.Contains(err.Error(), what) {
				t.Errorf("%s %q: %v", what, bad, err)
			}
		}
	}
}

func TestIDsAndKindsAreWords(t *testing.T) {
	for _, good := range []string{"a", "A-Z_09", strings.Repeat("x", 64)} {
		if err := names.CheckID(good); err != nil {
			t.Errorf("id %q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a.b", "a b", "aéb", "a\n", strings.Repeat("x", 65)} {
		if err := names.CheckID(bad); !errors.Is(err, names.ErrName) {
			t.Errorf("id %q: %v", bad, err)
		}
	}
	for _, good := range []string{"edit", "app.poll-2_x"} {
		if err := names.CheckKind(good); err != nil {
			t.Errorf("kind %q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "Edit", "a/b", "é"} {
		if err := names.CheckKind(bad); !errors.Is(err, names.ErrName) {
			t.Errorf("kind %q: %v", bad, err)
		}
	}
}

func TestNamespaceIsInFrontOfTheFirstColon(t *testing.T) {
	for topic, want := range map[string]string{"room:a": "room", "room:a:b": "room", "lobby": "", "a.b": ""} {
		if got := names.Namespace(topic); got != want {
			t.Errorf("%q: %q, want %q", topic, got, want)
		}
	}
}

// What is allowed here is allowed by the cluster.
func TestTheClusterTakesTheseNames(t *testing.T) {
	if names.MaxTopic > cluster.MaxTopic || names.MaxUser > presence.MaxUser || names.MaxKey > keyed.MaxKey || names.MaxID > cluster.MaxID {
		t.Error("a name is longer than the cluster takes")
	}
}

// X47: one token for each name, and no token means anything where names meet syntax.
func TestTokensAreInjective(t *testing.T) {
	seen := map[string]string{}
	all := append([]string{"", "_", "_5F", "__", "a_b", "a_5Fb", "A", "\x00", "\xff\xfe"}, allowed...)
	for name := range refused {
		all = append(all, name)
	}
	for _, name := range all {
		token := names.Encode(name)
		if other, twice := seen[token]; twice && other != name {
			t.Errorf("%q and %q: %q", name, other, token)
		}
		seen[token] = name
		if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("%q: %q", name, token)
		}
		if back, err := names.Decode(token); err != nil || back != name {
			t.Errorf("%q: %q: %q, %v", name, token, back, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, token := range []string{"", "a", "_2E", "_2e", "_61", "_", "_2", "a.b", "_GG", "_FF_00"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		name, err := names.Decode(token)
		if err == nil && names.Encode(name) != token {
			t.Errorf("%q: %q, whose token is %q", token, name, names.Encode(name))
		}
		if back, err := names.Decode(names.Encode(token)); err != nil || back != token {
			t.Errorf("%q: %q, %v", token, back, err)
		}
	})
}
