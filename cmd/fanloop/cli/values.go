package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/engine"
)

// value is a flag whose parser says in its error what it wants.
type value[T any] struct {
	p      *T
	kind   string // how help names it
	parse  func(string) (T, error)
	format func(T) string

	choices []string // all values, if they are few
}

// Set implements pflag.Value.
func (v *value[T]) Set(s string) error {
	parsed, err := v.parse(s)
	if err == nil {
		*v.p = parsed
	}
	return err
}

// String implements pflag.Value.
func (v *value[T]) String() string { return v.format(*v.p) }

// Type implements pflag.Value.
func (v *value[T]) Type() string { return v.kind }

// Choices are all values that the flag takes; nil if they cannot be listed.
func (v *value[T]) Choices() []string { return v.choices }

// The flags below have the value at p as their default. names is the flag's name,
// and after a comma its letter if it has one.

// CountFlag takes a whole number that is not negative.
func CountFlag(flags *pflag.FlagSet, p *int, names, usage string) {
	addFlag(flags, &value[int]{p: p, kind: "n", parse: parseCount, format: strconv.Itoa}, names, usage)
}

// DurationFlag takes a duration that is not negative.
func DurationFlag(flags *pflag.FlagSet, p *time.Duration, names, usage string) {
	addFlag(flags, &value[time.Duration]{p: p, kind: "duration", parse: parseDuration, format: time.Duration.String}, names, usage)
}

// RateFlag takes a number of messages a second, 0 or more.
func RateFlag(flags *pflag.FlagSet, p *float64, names, usage string) {
	format := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	addFlag(flags, &value[float64]{p: p, kind: "messages", parse: parseRate, format: format}, names, usage)
}

// ShareFlag takes a part of a whole: 0 to below 1.
func ShareFlag(flags *pflag.FlagSet, p *float64, names, usage string) {
	format := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	addFlag(flags, &value[float64]{p: p, kind: "part", parse: parseShare, format: format}, names, usage)
}

// CodeFlag takes a status code of a close frame, or 0.
func CodeFlag(flags *pflag.FlagSet, p *engine.StatusCode, names, usage string) {
	format := func(c engine.StatusCode) string { return strconv.Itoa(int(c)) }
	addFlag(flags, &value[engine.StatusCode]{p: p, kind: "code", parse: parseCode, format: format}, names, usage)
}

// LevelFlag takes the least level that is logged.
func LevelFlag(flags *pflag.FlagSet, p *slog.Level, names, usage string) {
	format := func(l slog.Level) string { return strings.ToLower(l.String()) }
	addFlag(flags, &value[slog.Level]{p: p, kind: "level", parse: parseLevel, format: format, choices: levels}, names, usage)
}

// ChoiceFlag takes one of choices, in any case.
func ChoiceFlag[T ~string](flags *pflag.FlagSet, p *T, names, usage string, choices ...T) {
	parse := func(s string) (T, error) { return choose(s, choices) }
	format := func(v T) string { return string(v) }
	addFlag(flags, &value[T]{p: p, kind: "kind", parse: parse, format: format, choices: texts(choices)}, names, usage)
}

func addFlag(flags *pflag.FlagSet, v pflag.Value, names, usage string) {
	name, letter, _ := strings.Cut(names, ",")
	flags.VarP(v, name, letter, usage)
}

// choose returns the one of choices that s is, in any case.
func choose[T ~string](s string, choices []T) (T, error) {
	for _, choice := range choices {
		if strings.EqualFold(s, string(choice)) {
			return choice, nil
		}
	}
	names := texts(choices)
	return "", fmt.Errorf("want %s%s", alternatives(names), DidYouMean(s, names))
}

func texts[T ~string](values []T) (all []string) {
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// alternatives writes names as "a, b or c".
func alternatives(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, errors.New("want a whole number that is not negative")
	}
	return n, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err == nil && d >= 0:
		return d, nil
	case err == nil:
		return 0, errors.New("want a duration that is not negative, like 500ms, 10s or 2m")
	}
	return 0, errors.New("want a duration like 500ms, 10s or 2m")
}

// parseRate takes no NaN and no infinity.
func parseRate(s string) (float64, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f <= math.MaxFloat64 {
		return f, nil
	}
	return 0, errors.New("want a number that is not negative, like 100 or 0.5")
}

func parseShare(s string) (float64, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f < 1 {
		return f, nil
	}
	return 0, errors.New("want a number from 0 to below 1, like 0.1")
}

// parseCode takes what may stand in a close frame (RFC 6455 section 7.4), and 0.
func parseCode(s string) (engine.StatusCode, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if code := engine.StatusCode(n); err == nil && (n == 0 || code.ValidOnWire()) {
		return code, nil
	}
	return 0, errors.New("want 1000-1003, 1007-1014, 3000-4999 or 0 for none")
}

// levels are the names of the levels that a log may have.
var levels = []string{"debug", "info", "warn", "error"}

func parseLevel(s string) (level slog.Level, err error) {
	name, err := choose(s, levels)
	if err == nil {
		err = level.UnmarshalText([]byte(name))
	}
	return level, err
}

// units of sizes, the largest first. Those of 1024 come before those of 1000.
var units = []struct {
	name string
	size int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3},
	{"B", 1},
}

// parseSize reads a number of bytes such as 65536, 64KiB or 1.5MB. Case does
// not matter.
func parseSize(s string) (int64, error) {
	wrong := errors.New("want a size in bytes like 65536, 64KiB or 1MiB")
	number, unit := s, int64(1)
	for _, u := range units {
		if cut := len(s) - len(u.name); cut > 0 && strings.EqualFold(s[cut:], u.name) {
			number, unit = strings.TrimSpace(s[:cut]), u.size
			break
		}
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n < 0 || n > math.MaxInt64/unit {
			return 0, wrong
		}
		return n * unit, nil
	}
	if strings.Trim(number, "0123456789.") != "" { // no NaN, exponents or signs
		return 0, wrong
	}
	f, err := strconv.ParseFloat(number, 64)
	if f *= float64(unit); err != nil || f != math.Trunc(f) || f >= 1<<53 {
		return 0, wrong
	}
	return int64(f), nil
}

// ParseSize reads a number of bytes as the flags of sizes do.
func ParseSize(s string) (int64, error) { return parseSize(s) }

// FormatSize writes n with the largest unit of 1024 that leaves no fraction.
func FormatSize(n int64) string {
	for _, u := range units[:3] {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
