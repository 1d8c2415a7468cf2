package scenario

import (
	"errors"
	"slices"
	"testing"

	"github.com/fanloop-go/fanloop/bench/load"
)

func TestNamesOfScenariosAreRead(t *testing.T) {
	for name, want := range map[string]Spec{
		"echo200x64":       {Kind: Echo, Conns: 200, Size: 64},
		"echo200x16k":      {Kind: Echo, Conns: 200, Size: 16 << 10},
		"echo20x64i4":      {Kind: Echo, Conns: 20, Size: 64, InFlight: 4},
		"echo200x64@20000": {Kind: Echo, Conns: 200, Size: 64, Rate: 20000},
		"fanout500x128b20": {Kind: Fanout, Conns: 500, Size: 128, Burst: 20},
		"fanout500x64p4t2": {Kind: Fanout, Conns: 500, Size: 64, Publishers: 4, Topics: 2},
		"connect64":        {Kind: Connect, Conns: 64},
		"idle1000":         {Kind: Idle, Conns: 1000},
		"slow500x1k@20":    {Kind: Slow, Conns: 500, Size: 1024, Rate: 20},
		"storm":            {Kind: Storm},
		"soak100x64@1000":  {Kind: Soak, Conns: 100, Size: 64, Rate: 1000},

		"echo200x1k+tls":            {Kind: Echo, Conns: 200, Size: 1024, TLS: true},
		"connect64+tls":             {Kind: Connect, Conns: 64, TLS: true},
		"fanout500x1k+json":         {Kind: Fanout, Conns: 500, Size: 1024, Payload: load.JSON},
		"fanout500x1kb20+deflate":   {Kind: Fanout, Conns: 500, Size: 1024, Burst: 20, Compression: load.Deflate},
		"idle500+takeover":          {Kind: Idle, Conns: 500, Compression: load.Takeover},
		"echo200x2k@50+tls+deflate": {Kind: Echo, Conns: 200, Size: 2048, Rate: 50, TLS: true, Compression: load.Deflate},
	} {
		got, err := ParseSpec(name)
		want.Name = name
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if made := (func() Spec { s := want; s.Name = ""; return s.withDefaults() })(); name != "storm" && made.Name != name {
			t.Errorf("%s is called %s", name, made.Name)
		}
	}
}

func TestWrongScenariosAreRefused(t *testing.T) {
	for _, name := range []string{"", "walk10", "echo10x", "echo10x3", "echo0x64", "echo99999999999999999999", "fanout2x64p3",
		"fanout20x64t2", "echo200x64@0", "echo20000000x64", "fanout20x64b2000",
		"echo200x64+", "echo200x64+ssl", "echo200x64+deflate+tls", "echo200x1k+json+deflate", "echo200x64+json"} {
		_, err := ParseSpec(name)
		var config *load.ConfigError
		if !errors.As(err, &config) {
			t.Errorf("%q: error %v, want a ConfigError", name, err)
		}
	}
	for name, s := range map[string]Spec{
		"all stopped":     {Kind: Slow, Stopped: 1},
		"no time":         {Kind: Echo, Window: 1},
		"negative rounds": {Kind: Echo, Rounds: -1},
		"more processes":  {Kind: Echo, Conns: 2, Processes: 3},
		"one idle":        {Kind: Idle, Conns: 1},

		"compressed noise":    {Kind: Echo, Payload: load.Noise, Compression: load.Deflate},
		"unknown payload":     {Kind: Echo, Payload: "xml"},
		"unknown compression": {Kind: Echo, Compression: "brotli"},
	} {
		var config *load.ConfigError
		if err := s.Check(); !errors.As(err, &config) {
			t.Errorf("%s: error %v, want a ConfigError", name, err)
		}
	}
}

func TestShareOfProcessesAddsUp(t *testing.T) {
	s := Spec{Kind: Echo, Conns: 10, Processes: 3, Rate: 1000}.withDefaults()
	conns, rate := 0, 0.0
	for i := range 3 {
		c := s.config("ws://127.0.0.1:1/", 7, i)
		if c.First != conns || (c.ServerPID == 7) != (i == 0) {
			t.Errorf("process %d: %+v", i, c)
		}
		conns += c.Conns
		rate += c.Rate
	}
	if conns != 10 || rate < 999.9 || rate > 1000.1 {
		t.Errorf("%d connections at %g a second in all", conns, rate)
	}
}

func TestListsOfCPUsAreRead(t *testing.T) {
	for list, want := range map[string]CPUs{"": nil, "any": nil, "0": {0}, "0-2": {0, 1, 2}, "1,3-4": {1, 3, 4}} {
		got, err := ParseCPUs(list)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for _, list := range []string{"x", "-1", "3-1", "0,,1", "5000"} {
		if got, err := ParseCPUs(list); err == nil {
			t.Errorf("%q is read as %v", list, got)
		}
	}
}

func TestServersAreReadFromTheirCommand(t *testing.T) {
	s, err := ParseServer("mine=./echo --addr {addr} -v")
	if err != nil || s.Name != "mine" || !s.Topics || !slices.Equal(s.Command, []string{"./echo", "--addr", "{addr}", "-v"}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{"mine", "=./echo {addr}", "mine=./echo"} {
		if s, err := ParseServer(text); err == nil {
			t.Errorf("%q is read as %+v", text, s)
		}
	}
}
