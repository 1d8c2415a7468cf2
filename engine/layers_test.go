package engine

import (
	"go/build"
	"strings"
	"testing"
)

const module = "github.com/fanloop-go/fanloop/"

// Who embeds the engine alone compiles neither a cluster nor NATS.
func TestLayersStayApart(t *testing.T) {
	seen := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		pkg, err := build.ImportDir("../"+strings.TrimPrefix(path, module), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range pkg.Imports {
			switch {
			case strings.HasPrefix(imported, module+"engine/"), strings.Contains(imported, "nats"), strings.Contains(imported, "synadia"):
				t.Errorf("%s must not import %s", path, imported)
			case strings.HasPrefix(imported, module):
				visit(imported)
			}
		}
	}
	visit(module + "engine")
	for _, layer := range []string{"codec", "handshake", "loop"} {
		if !seen[module+layer] {
			t.Errorf("%s is not among the layers of the engine: %v", layer, seen)
		}
	}
}
