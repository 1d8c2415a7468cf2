package engine

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

var limitRow = regexp.MustCompile("(?m)^\\| `(\\w+)`(\\*?) \\| ([^|]*) \\| [^|]+ \\|$")

// The table of limits has a row for each field of Limits, in no special order,
// with its default, and a * where NoLimit is taken.
func TestReadmeHasEveryLimitWithItsDefault(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Limits and defaults\n")
	if !found {
		t.Fatal("README.md has no section of limits")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := make(map[string][]string)
	for _, row := range limitRow.FindAllStringSubmatch(section, -1) {
		if rows[row[1]] != nil {
			t.Errorf("%s has two rows", row[1])
		}
		rows[row[1]] = row
	}
	typ := reflect.TypeFor[Limits]()
	defaults := reflect.ValueOf(Limits{}.WithDefaults())
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		row := rows[name]
		if row == nil {
			t.Errorf("%s has no row", name)
			continue
		}
		delete(rows, name)
		var off Limits
		reflect.ValueOf(&off).Elem().Field(i).SetInt(NoLimit)
		if canBeOff := off.Validate() == nil; canBeOff != (row[2] == "*") {
			t.Errorf("%s: marked %q, can be off: %v", name, row[2], canBeOff)
		}
		if want := inWords(name, defaults.Field(i)); !strings.HasPrefix(row[3]+" ", want) {
			t.Errorf("%s: the default is %q, want %q", name, row[3], want)
		}
	}
	for name := range rows {
		t.Errorf("%s is no limit", name)
	}
}

// inWords is how README begins to tell a default.
func inWords(name string, v reflect.Value) string {
	n := v.Int()
	switch {
	case name == "MaxFragments":
		return "16384 frames, and one for each 64 bytes"
	case name == "MaxMemory":
		return "a quarter of the memory"
	case n == 0 || n == NoLimit:
		return "off"
	case v.Type() == reflect.TypeFor[time.Duration]():
		return fmt.Sprintf("%d s ", n/int64(time.Second))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<12:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d ", n)
}
