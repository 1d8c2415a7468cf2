package engine

import (
	"go/build"
	"os"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/fanloop-go/fanloop/"

// wings are the packages below engine/internal, with those of this module that
// each may import. None of them knows a WebSocket: the compiler forbids to import
// engine, which imports them.
var wings = map[string][]string{
	"backoff":     nil,
	"certfile":    nil,
	"fanout":      {"engine/internal/frames", "engine/internal/outlet", "loop"},
	"frames":      {"codec", "loop"},
	"headcount":   nil,
	"httpdate":    nil,
	"memory":      nil,
	"outlet":      {"codec", "engine/internal/frames"},
	"proxyheader": nil,
	"sharedloop":  {"loop"},
	"socketfile":  nil,
	"tlsconfig":   {"loop"},
	"transport":   {"engine/internal/wsurl", "handshake"},
	"wsurl":       nil,
}

// layers are the packages that the engine stands on.
var layers = []string{"codec", "handshake", "loop"}

// Who embeds the engine alone compiles neither a cluster nor NATS, and no wing
// knows more than it may.
func TestLayersStayApart(t *testing.T) {
	seen := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		pkg, err := build.ImportDir("../"+path, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range pkg.Imports {
			own, ok := strings.CutPrefix(imported, module)
			if !mayImport(path, own, ok) || strings.Contains(imported, "nats") || strings.Contains(imported, "synadia") {
				t.Errorf("%s must not import %s", path, imported)
			} else if ok {
				visit(own)
			}
		}
	}
	visit("engine")
	for _, layer := range layers {
		if !seen[layer] {
			t.Errorf("%s is not among the layers of the engine: %v", layer, seen)
		}
	}
	for wing := range wings {
		if !seen["engine/internal/"+wing] {
			t.Errorf("the engine does not use its wing %s", wing)
		}
	}
}

// mayImport says whether the package at path may import another one, which is one of
// this module if own.
func mayImport(path, imported string, own bool) bool {
	wing, isWing := strings.CutPrefix(path, "engine/internal/")
	switch {
	case !own:
		return true
	case isWing:
		return slices.Contains(wings[wing], imported)
	case path == "engine":
		_, known := wings[strings.TrimPrefix(imported, "engine/internal/")]
		return known || slices.Contains(layers, imported)
	}
	return !strings.HasPrefix(imported, "engine")
}

// A wing that is not in the table has no rule.
func TestEveryWingHasARule(t *testing.T) {
	dirs, err := os.ReadDir("internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if dir.Name() == "testkit" { // for tests alone: mayImport refuses it
			continue
		}
		if _, known := wings[dir.Name()]; !known {
			t.Errorf("engine/internal/%s: say in wings what it may import", dir.Name())
		}
	}
}
