package cli

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/engine"
)

// limitFlag is the flag of one field of engine.Limits.
type limitFlag struct {
	field string
	kind  limitKind
	off   string // what 0 means; empty: the limit cannot be off
	usage string
}

// limitKind is how the value of a limit is written.
type limitKind struct {
	name  string // in help
	parse func(string) (int64, error)
	show  func(int64) string
	want  string
}

var (
	limitSize = limitKind{"size", parseSize, FormatSize, "a size above 0 like 64KiB or 1MiB"}
	limitN    = limitKind{"n",
		func(s string) (int64, error) { n, err := parseCount(s); return int64(n), err },
		func(n int64) string { return strconv.FormatInt(n, 10) }, "a whole number above 0"}
	limitTime = limitKind{"duration",
		func(s string) (int64, error) { d, err := parseDuration(s); return int64(d), err },
		func(n int64) string { return time.Duration(n).String() }, "a duration above 0, like 500ms or 10s"}
)

// limitFlags are in the order of help.
var limitFlags = []limitFlag{
	{"MaxMessage", limitSize, "no limit", "largest message taken"},
	{"MaxFragments", limitN, "no limit", "most frames of a message; auto: 16384, and one for each 64 bytes"},
	{"MaxControlRate", limitN, "no limit", "most pings and pongs taken in a second"},
	{"MaxConnections", limitN, "no limit", "most connections at a time"},
	{"MaxQueued", limitSize, "no limit", "most bytes that wait for one peer"},
	{"MaxMemory", limitSize, "no limit", "most memory for what waits, of all peers together; auto: a quarter of what there is"},
	{"HighWater", limitSize, "", "bytes waiting for a peer at which sending pauses"},
	{"LowWater", limitSize, "", "bytes waiting at which it goes on"},
	{"MaxHead", limitSize, "", "largest head of an opening handshake"},
	{"MaxHeaders", limitN, "", "most header lines in that head"},
	{"HandshakeTimeout", limitTime, "", "time for the opening handshake"},
	{"ReadTimeout", limitTime, "no limit", "time in which less than 1 KiB of a begun message comes"},
	{"WriteTimeout", limitTime, "no limit", "time in which the peer takes less than 1 KiB of what waits"},
	{"PingInterval", limitTime, "no pings", "silence before a ping"},
	{"PongTimeout", limitTime, "", "time for a sign of life after that ping"},
	{"IdleTimeout", limitTime, "no limit", "time without a message"},
	{"CloseTimeout", limitTime, "", "time without progress while closing"},
}

// AddLimits adds the flags of limits, which hold the defaults of the command,
// but for the fields in without. named has names that are not those of the fields.
func AddLimits(flags *pflag.FlagSet, limits *engine.Limits, named map[string]string, without ...string) {
	defaults := limits.WithDefaults()
	for _, f := range limitFlags {
		if slices.Contains(without, f.field) {
			continue
		}
		name := named[f.field]
		if name == "" {
			name = FlagName(f.field)
		}
		usage := f.usage
		if f.off != "" {
			usage += "; 0: " + f.off
		}
		flags.Var(&LimitValue{limits, f, limitField(&defaults, f.field).Int()}, name, usage)
		InGroup(flags, "Limits", name)
	}
}

// limitField is a field of limits, which is an integer of some type.
func limitField(limits *engine.Limits, name string) reflect.Value {
	return reflect.ValueOf(limits).Elem().FieldByName(name)
}

// LimitValue is the value of a limitFlag: 0 until it is set, so that defaults
// which follow other limits do.
type LimitValue struct {
	Limits  *engine.Limits
	flag    limitFlag
	shownAs int64 // while it is 0
}

// Set implements pflag.Value.
func (v *LimitValue) Set(s string) error {
	kind := v.flag.kind
	n, err := kind.parse(s)
	field := limitField(v.Limits, v.flag.field)
	switch {
	case s != "" && s == v.unnumbered():
		n = 0
	case err != nil:
		return err
	case n == 0 && v.flag.off != "":
		n = engine.NoLimit
	case n == 0:
		return errors.New("want " + kind.want)
	case field.OverflowInt(n):
		return errors.New("want less, as far as this machine can count")
	}
	field.SetInt(n)
	return nil
}

// unnumbered is the default where it is no number.
func (v *LimitValue) unnumbered() string {
	switch {
	case v.flag.field == "MaxFragments", v.flag.field == "MaxMemory":
		return "auto"
	case v.flag.off != "" && v.shownAs == 0:
		return "none"
	}
	return ""
}

// String implements pflag.Value.
func (v *LimitValue) String() string {
	n := limitField(v.Limits, v.flag.field).Int()
	if n == 0 {
		n = v.shownAs
	}
	switch n {
	case engine.NoLimit:
		return "0"
	case 0:
		return v.unnumbered()
	}
	return v.flag.kind.show(n)
}

// Type implements pflag.Value.
func (v *LimitValue) Type() string { return v.flag.kind.name }

// FlagName is the flag of a field: max-queued of MaxQueued.
func FlagName(field string) string {
	var name strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			name.WriteByte('-')
		}
		name.WriteRune(unicode.ToLower(r))
	}
	return name.String()
}

var limitNames = regexp.MustCompile(`\bLimits\.\w+`)

// CheckLimits says which flags contradict each other.
func CheckLimits(limits engine.Limits) error {
	err := limits.Validate()
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(OneLine(err), "engine: ", "")
	return Usagef("%s", limitNames.ReplaceAllStringFunc(text, func(name string) string {
		return "--" + FlagName(strings.TrimPrefix(name, "Limits."))
	}))
}
