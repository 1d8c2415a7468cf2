package auth

import (
	"fmt"
	"io"
	"log/slog"
)

// Token is a token that does not show itself, in whatever way it is printed, logged or
// encoded, also inside another value.
type Token struct {
	text *string // a pointer, since package fmt shows fields that it cannot call methods of
}

// MaxToken is the length of a token at most, in bytes.
const MaxToken = 16 << 10

// redacted is what is seen of a token.
const redacted = "[token]"

// NewToken hides text.
func NewToken(text string) Token { return Token{&text} }

// Reveal returns the text, for a hook that forwards the token to the backend.
func (t Token) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// String implements fmt.Stringer.
func (t Token) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (t Token) GoString() string { return redacted }

// Format implements fmt.Formatter, for all verbs.
func (t Token) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue implements slog.LogValuer.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, for JSON too.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Token) UnmarshalText(text []byte) error {
	*t = NewToken(string(text))
	return nil
}
