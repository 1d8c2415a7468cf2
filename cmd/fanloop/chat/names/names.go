// Package names says which names topics, users and keys of the chat may have, and
// encodes them for places that allow few characters.
//
// Names mean nothing but themselves: dots, stars, slashes, spaces and percent signs
// are characters like others. What is refused is what two people, or two programs,
// could take for something else: names that differ only in how letters are composed,
// and characters that nobody sees. What people call a user identifies nobody: there the
// same characters are taken out, so that a bad name locks no user out.
package names

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// How long names are at most, in bytes.
const (
	MaxTopic     = 255
	MaxNamespace = 64
	MaxUser      = 128
	MaxKey       = 128
	MaxKind      = 64
	MaxID        = 64
	MaxReaction  = 64
	MaxDisplay   = 128
)

// ErrName is wrapped by all errors of the Check functions.
var ErrName = errors.New("names: refused")

// Error says what is wrong with a name. It does not contain the name.
type Error struct {
	What   string // topic, namespace, user, key, kind, id, reaction
	Reason string // goes on behind "the topic", say
}

func (e *Error) Error() string { return fmt.Sprintf("names: the %s %s", e.What, e.Reason) }

// Unwrap returns [ErrName].
func (e *Error) Unwrap() error { return ErrName }

// CheckTopic returns an [Error] if topic cannot be the name of one.
func CheckTopic(topic string) error {
	if err := check("topic", topic, MaxTopic); err != nil {
		return err
	}
	if namespace, _, found := strings.Cut(topic, ":"); found && CheckNamespace(namespace) != nil {
		return &Error{"topic", "has a namespace, in front of the colon, that is not 1 to 64 of a-z 0-9 - _"}
	}
	return nil
}

// CheckNamespace returns an [Error] if namespace cannot be the name of one.
func CheckNamespace(namespace string) error {
	if !isWord(namespace, MaxNamespace, lower+digits+"-_") {
		return &Error{"namespace", "is not 1 to 64 of a-z 0-9 - _"}
	}
	return nil
}

// Namespace is what is in front of the first colon of a topic, and empty if there is
// none: the topic is in the default namespace.
func Namespace(topic string) string {
	namespace, _, found := strings.Cut(topic, ":")
	if !found {
		return ""
	}
	return namespace
}

// CheckUser returns an [Error] if user cannot be the name of one.
func CheckUser(user string) error { return check("user", user, MaxUser) }

// CheckKey returns an [Error] if key cannot be the key of a value.
func CheckKey(key string) error { return check("key", key, MaxKey) }

// CheckReaction returns an [Error] if reaction cannot be one: an emoji, or a short text.
func CheckReaction(reaction string) error { return check("reaction", reaction, MaxReaction) }

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// CheckKind returns an [Error] if kind cannot be a kind of messages or values.
func CheckKind(kind string) error {
	if !isWord(kind, MaxKind, lower+digits+"-_.") {
		return &Error{"kind", "is not 1 to 64 of a-z 0-9 - _ ."}
	}
	return nil
}

// CheckID returns an [Error] if id cannot be that of a publish.
func CheckID(id string) error {
	if !isWord(id, MaxID, lower+upper+digits+"-_") {
		return &Error{"id", "is not 1 to 64 of A-Z a-z 0-9 - _"}
	}
	return nil
}

func isWord(s string, max int, of string) bool {
	return 0 < len(s) && len(s) <= max && strings.Trim(s, of) == "" // what is not of it stays
}

// check applies the rules for names that people choose.
func check(what, name string, max int) error {
	switch {
	case name == "":
		return &Error{what, "is empty"}
	case len(name) > max:
		return &Error{what, fmt.Sprintf("is longer than %d bytes", max)}
	case !utf8.ValidString(name):
		return &Error{what, "is not UTF-8"}
	case !norm.NFC.IsNormalString(name):
		return &Error{what, "is not in Unicode normal form C; normalize it"}
	}
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	switch {
	case isBlank(first) || isBlank(last):
		return &Error{what, "begins or ends with white space"}
	case unicode.IsMark(first):
		return &Error{what, "begins with a mark that belongs to the character in front of it"}
	}
	runes := []rune(name)
	for i := range runes {
		if fault := faultAt(runes, i); fault != "" {
			return &Error{what, fault}
		}
	}
	return nil
}
