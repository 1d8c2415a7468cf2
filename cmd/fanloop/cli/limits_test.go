package cli

import (
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/engine"
)

func TestZeroTurnsALimitOffThatCanBeOff(t *testing.T) {
	for _, f := range limitFlags {
		limits := new(engine.Limits)
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		AddLimits(flags, limits, nil)
		flag := flags.Lookup(FlagName(f.field))
		err := flag.Value.Set("0")
		got := reflect.ValueOf(limits).Elem().FieldByName(f.field).Int()
		switch {
		case f.off != "" && (err != nil || got != engine.NoLimit || flag.Value.String() != "0"):
			t.Errorf("--%s 0: %d, %q, %v; want no limit", flag.Name, got, flag.Value, err)
		case f.off == "" && (err == nil || !strings.Contains(err.Error(), "above 0")):
			t.Errorf("--%s 0: %v, want a refusal", flag.Name, err)
		}
		if engineErr := limits.Validate(); engineErr != nil {
			t.Errorf("--%s 0 is taken, and refused by the engine: %v", flag.Name, engineErr)
		}
	}
}
