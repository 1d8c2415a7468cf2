package cli

import (
	"strings"
	"testing"
)

func TestSizesAreBytesWithUnits(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1B": 1, "65536": 65536,
		"1kB": 1000, "1KiB": 1024, "64kib": 65536, "1 MiB": 1 << 20, "2MB": 2e6,
		"1GiB": 1 << 30, "3gb": 3e9, "1.5MiB": 3 << 19, "0.5kB": 500,
		"8589934591GiB": 8589934591 << 30,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "B", "KiB", "-1", "-1KiB", "+", "1x", "1K", "1M", "1 2", "0x10", "1e3", "NaN", "Inf", ".", "1..2",
		"0.5", "1.0001kB", "8589934592GiB", "9223372036854775808", "9999999999.5GiB",
	} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is %d, want an error", text, got)
		}
	}
}

// What help shows as a default has to be a value that the flag takes.
func FuzzSizeIsReadAsWritten(f *testing.F) {
	for _, seed := range []string{"0", "1023", "1KiB", "1.5MiB", "16 GB", "1e3", "-1", "8589934591GiB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseSize(text)
		if err != nil {
			return
		}
		again, err := parseSize(FormatSize(n))
		if err != nil || again != n || n < 0 {
			t.Errorf("%q is %d, written %q, read as %d, %v", text, n, FormatSize(n), again, err)
		}
	})
}

func TestLevelsIgnoreCase(t *testing.T) {
	for _, name := range []string{"debug", "Info", "WARN", "error"} {
		if level, err := parseLevel(name); err != nil || !strings.EqualFold(level.String(), name) {
			t.Errorf("%s: %v, %v", name, level, err)
		}
	}
}
