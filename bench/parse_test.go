package bench

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

func TestScenarioNames(t *testing.T) {
	for name, want := range map[string]Scenario{
		"echo200x64":     {Mode: Echo, Conns: 200, Size: 64, InFlight: 1},
		"echo200x16k":    {Mode: Echo, Conns: 200, Size: 16 << 10, InFlight: 1},
		"echo5000x0":     {Mode: Echo, Conns: 5000, Size: 0, InFlight: 1},
		"echo200x128x20": {Mode: Echo, Conns: 200, Size: 128, InFlight: 20},
		"handshake":      {Mode: Handshake, Conns: 64, Size: 64, InFlight: 1},
		"handshake8":     {Mode: Handshake, Conns: 8, Size: 64, InFlight: 1},
		"idle15000":      {Mode: Idle, Conns: 15000, Size: 64, InFlight: 1},
	} {
		want.Name = name
		if got, err := ParseScenario(name); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "echo", "echo200", "echo0x64", "echo1x64x0", "echo1x64m", "idle", "idle0", "handshake0",
		"echo-1x64", "echo1x99999k", "echo99999999999999999999x1", "echo1x64 "} {
		if s, err := ParseScenario(name); err == nil {
			t.Errorf("%q was read as %+v", name, s)
		}
	}
}

func TestServerNames(t *testing.T) {
	s, err := ParseServer("uws=./echo  -p {port}")
	if err != nil || s.Name != "uws" || !slices.Equal(s.Command, []string{"./echo", "-p", "{port}"}) || s.GivesBack {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{"", "uws", "uws=", "uws=./echo 9001", "=./echo {port}"} {
		if s, err := ParseServer(text); err == nil {
			t.Errorf("%q was read as %+v", text, s)
		}
	}
}

func TestRollup(t *testing.T) {
	const text = "5581a0000000-7ffd2a5f1000 ---p 00000000 00:00 0    [rollup]\nRss:                1948 kB\nPss:                 204 kB\nRssX: 1 kB\n"
	if got, err := parseRollup(text); err != nil || got != 1948<<10 {
		t.Errorf("%d, %v; want %d", got, err, 1948<<10)
	}
	for _, text := range []string{"", "Pss: 204 kB\n", "Rss: many kB\n", "Rss: 12 MB\n", "Rss: -1 kB\n"} {
		if got, err := parseRollup(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

func TestResidentBytesOfThisProcess(t *testing.T) {
	if prepare() != nil {
		t.Skip("needs Linux")
	}
	got, err := residentBytes(os.Getpid())
	if err != nil || got < 1<<20 {
		t.Errorf("%d bytes, %v", got, err)
	}
}

func TestModelName(t *testing.T) {
	if got := modelName("processor\t: 0\nmodel\t\t: 2\nmodel name\t: Some CPU: 3 GHz\n"); known(got) != "Some CPU: 3 GHz" {
		t.Errorf("%q", got)
	}
	if got := known(modelName("processor : 0\n")); got != "unknown" {
		t.Errorf("%q", got)
	}
}

func TestNoCompilerIsSaidPlainly(t *testing.T) {
	t.Setenv("CC", "no-such-compiler")
	_, err := Build(t.Context(), t.TempDir())
	if !errors.Is(err, ErrNotAvailable) {
		t.Fatalf("%v, want ErrNotAvailable", err)
	}
	wantLine(t, err, "not available here: no C compiler (no-such-compiler)")
}

func TestTailKeepsTheEnd(t *testing.T) {
	var said tail
	for i := range 2000 {
		fmt.Fprintf(&said, "line %d\n", i)
	}
	if got := said.lastLine(); got != "line 1999" || len(said.text) > tailLimit {
		t.Errorf("%q of %d bytes", got, len(said.text))
	}
}

func ExampleParseScenario() {
	s, _ := ParseScenario("echo200x16k")
	fmt.Println(s.Mode, s.Conns, "connections,", s.Size, "bytes")
	// Output: echo 200 connections, 16384 bytes
}
