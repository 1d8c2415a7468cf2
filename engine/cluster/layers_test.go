package cluster

import (
	"go/build"
	"strings"
	"testing"
)

// The package knows brokers only as its interface: no NATS, no network, and not
// the engine either.
func TestLayersStayApart(t *testing.T) {
	for _, dir := range []string{".", "clustertest"} {
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range pkg.Imports {
			if path == "net" || strings.Contains(path, ".") && path != "github.com/fanloop-go/fanloop/engine/cluster" {
				t.Errorf("%s must not import %s", dir, path)
			}
		}
	}
}
