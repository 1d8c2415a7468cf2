package config

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// Secret is a text that is not shown, also inside of other values.
type Secret struct{ text *string }

// NewSecret hides text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

const redacted = "[secret]"

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// Format implements fmt.Formatter, for all verbs.
func (s Secret) Format(w fmt.State, _ rune) { _, _ = w.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// Size is a number of bytes, written like 64KiB.
type Size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := cli.ParseSize(string(text))
	*s = Size(n)
	return err
}

// String writes the size as UnmarshalText reads it.
func (s Size) String() string { return cli.FormatSize(int64(s)) }

// Level is a level of presence.
type Level presence.Level

// levels are the names of those that can be configured.
var levels = []string{presence.Off: "off", presence.Count: "count", presence.Sample: "sample", presence.Pages: "pages", presence.Full: "full"}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(text []byte) error {
	for i, name := range levels {
		if name != "" && name == string(text) {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("want off, count, sample, pages or full%s", cli.DidYouMean(string(text), levels[1:]))
}

// Who says for each right who has it.
type Who map[rules.Right]rules.Who

// set reads one entry; it returns the names of all rights if there is no such right.
func (w Who) set(right, who string) (names []string, err error) {
	r, err := rules.ParseRight(right)
	if err != nil {
		return rules.RightNames(), errors.New("unknown key")
	}
	value, err := rules.ParseWho(who)
	if err != nil {
		return nil, fmt.Errorf("want nobody, granted, subscribers or users%s", cli.DidYouMean(who, rules.WhoNames()))
	}
	w[r] = value
	return nil, nil
}

// defaultNamespace is rules.Default in the words of the file.
func defaultNamespace() Namespace {
	n := rules.Default()
	return Namespace{n.HistorySize, n.HistoryAge, false, Level(n.Presence), n.ReadPositions, Who(n.Who)}
}
