package engine

import (
	"go/build"
	"os"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/fanloop-go/fanloop/"

// internals are the packages below engine/internal, with those of this module that
// each may import. None of them knows a WebSocket: the compiler forbids to import
// engine, which imports them.
var internals = map[string][]string{
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

// Who embeds the engine alone compiles neither a cluster nor NATS, and no internal package
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
	for pkg := range internals {
		if !seen["engine/internal/"+pkg] {
			t.Errorf("the engine does not use its internal package %s", pkg)
		}
	}
}

// mayImport says whether the package at path may import another one, which is one of
// this module if own.
func mayImport(path, imported string, own bool) bool {
	pkg, isInternal := strings.CutPrefix(path, "engine/internal/")
	switch {
	case !own:
		return true
	case isInternal:
		return slices.Contains(internals[pkg], imported)
	case path == "engine":
		_, known := internals[strings.TrimPrefix(imported, "engine/internal/")]
		return known || slices.Contains(layers, imported)
	}
	return !strings.HasPrefix(imported, "engine")
}

// An internal package that is not in the table has no rule.
func TestEveryInternalPackageHasARule(t *testing.T) {
	dirs, err := os.ReadDir("internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if dir.Name() == "testkit" { // for tests alone: mayImport refuses it
			continue
		}
		if _, known := internals[dir.Name()]; !known {
			t.Errorf("engine/internal/%s: add to internals what it may import", dir.Name())
		}
	}
}
