package rules

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// ErrTopic: the name cannot be that of a topic.
var ErrTopic = errors.New("rules: a topic's name has 1 to 255 bytes of UTF-8 in normal form C, without control and format characters and line ends; a namespace in front of a colon has a-z, 0-9, - and _")

// MaxNamespace is the length of a namespace's name at most, in bytes.
const MaxNamespace = 64

// Separator is between a namespace and the rest of a topic's name.
const Separator = ':'

// CheckTopic returns ErrTopic if topic cannot be the name of one. Two names that look
// alike because they compose letters in two ways are not both allowed: only normal
// form C is. Dots, stars, slashes and blanks have no meaning.
func CheckTopic(topic string) error {
	if cluster.CheckTopic(topic) != nil || !utf8.ValidString(topic) {
		return ErrTopic
	}
	for _, r := range topic {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || isHidden(r) {
			return ErrTopic
		}
	}
	if !norm.NFC.IsNormalString(topic) {
		return ErrTopic
	}
	if name, _, found := strings.Cut(topic, string(Separator)); found && CheckNamespace(name) != nil {
		return ErrTopic
	}
	return nil
}

// isHidden reports whether r is not seen, so that two names with and without it look
// alike. Emoji need the joiner.
func isHidden(r rune) bool {
	const joiner = 0x200d
	return r != joiner && unicode.Is(unicode.Cf, r)
}

// CheckNamespace returns ErrTopic if name cannot be that of a namespace.
func CheckNamespace(name string) error {
	if name == "" || len(name) > MaxNamespace {
		return ErrTopic
	}
	for _, b := range []byte(name) {
		if !('a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return ErrTopic
		}
	}
	return nil
}

// NamespaceOf is the name of the namespace of a topic; "" is the default one.
func NamespaceOf(topic string) string {
	name, _, found := strings.Cut(topic, string(Separator))
	if !found {
		return ""
	}
	return name
}
