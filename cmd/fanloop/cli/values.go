package cli

import (
	"errors"
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

// The flags below have the value at p as their default.

func CountFlag(flags *pflag.FlagSet, p *int, name, usage string) {
	flags.Var(&value[int]{p, "n", parseCount, strconv.Itoa}, name, usage)
}

func DurationFlag(flags *pflag.FlagSet, p *time.Duration, name, usage string) {
	flags.Var(&value[time.Duration]{p, "duration", parseDuration, time.Duration.String}, name, usage)
}

func CodeFlag(flags *pflag.FlagSet, p *engine.StatusCode, name, usage string) {
	format := func(c engine.StatusCode) string { return strconv.Itoa(int(c)) }
	flags.Var(&value[engine.StatusCode]{p, "code", parseCode, format}, name, usage)
}

func LevelFlag(flags *pflag.FlagSet, p *slog.Level, name, usage string) {
	format := func(l slog.Level) string { return strings.ToLower(l.String()) }
	flags.Var(&value[slog.Level]{p, "level", parseLevel, format}, name, usage)
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, errors.New("want a whole number that is not negative")
	}
	return n, nil
}

func parseDuration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	return 0, errors.New("want a duration like 500ms, 10s or 2m")
}

// parseCode takes what may stand in a close frame (RFC 6455 section 7.4), and 0.
func parseCode(s string) (engine.StatusCode, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if code := engine.StatusCode(n); err == nil && (n == 0 || code.ValidOnWire()) {
		return code, nil
	}
	return 0, errors.New("want 1000-1003, 1007-1014, 3000-4999 or 0 for none")
}

func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, errors.New("want debug, info, warn or error")
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

// FormatSize writes n with the largest unit of 1024 that leaves no fraction.
func FormatSize(n int64) string {
	for _, u := range units[:3] {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
