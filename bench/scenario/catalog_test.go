package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
)

func testCatalog(t *testing.T) *Catalog {
	t.Helper()
	return &Catalog{Dir: t.TempDir(), PeersDir: filepath.Join("..", "peers"), Loops: 3,
		Self: []string{"fanloop", "bench", "serve", "--addr", "{addr}", "--loops", "{loops}"}}
}

// An unknown name is refused before the floor and the peers are built, which takes
// minutes the first time. Without a PATH nothing can be built at all.
func TestUnknownServerIsRefusedBeforeAnythingIsBuilt(t *testing.T) {
	t.Setenv("PATH", "")
	t.Setenv("CC", "")
	c := testCatalog(t)
	_, err := c.Find(t.Context(), []string{"floor", "gorilla", "nosuch"})
	var config *load.ConfigError
	if !errors.As(err, &config) {
		t.Fatalf("error %v, want a ConfigError", err)
	}
	for _, known := range []string{`"nosuch"`, "floor", "fanloop", "all", "bun", "coder", "fasthttp", "gnet", "gobwas", "gorilla", "gws", "nbio", "ws"} {
		if !strings.Contains(err.Error(), known) {
			t.Errorf("%s is missing in %v", known, err)
		}
	}
	if built, _ := os.ReadDir(c.Dir); len(built) > 0 {
		t.Errorf("%v were built", built)
	}
}

func TestUnknownServerIsRefusedWithoutTheSourcesOfThePeers(t *testing.T) {
	c := testCatalog(t)
	c.PeersDir = t.TempDir()
	_, err := c.Find(t.Context(), []string{"gorilla"})
	var config *load.ConfigError
	if !errors.As(err, &config) || !strings.Contains(err.Error(), "no sources of the peers") {
		t.Fatalf("error %v", err)
	}
}

func TestTwoServersOfOneNameAreRefused(t *testing.T) {
	for _, names := range [][]string{{"a=./x {addr}", "a=./y {addr}"}, {"fanloop", "fanloop=./x {addr}"}} {
		var config *load.ConfigError
		if _, err := testCatalog(t).Find(t.Context(), names); !errors.As(err, &config) || !strings.Contains(err.Error(), "a name of its own") {
			t.Errorf("%v: error %v", names, err)
		}
	}
}

// Another build of fanloop is measured as this one is, by the path of its program.
func TestAnotherFanloopIsGivenByItsPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fanloop")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho fanloop v0.0.1\necho commit abc\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := testCatalog(t).Find(t.Context(), []string{report.Ours, "old=" + path})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{path, "bench", "serve", "--addr", "{addr}", "--loops", "3"}
	ours, old := f.Servers[0], f.Servers[1]
	if old.Name != "old" || !slices.Equal(old.Command, want) || old.Does["tls"][0] != "--tls" || !old.Topics || !old.GivesBack {
		t.Errorf("%+v", old)
	}
	if ours.Name != report.Ours || ours.Command[0] != "fanloop" {
		t.Errorf("%+v", ours)
	}
	if f.Versions["old"] != "fanloop v0.0.1 commit abc" {
		t.Errorf("versions %v", f.Versions)
	}
}
