package cluster

import (
	"go/build"
	"strings"
	"testing"
)

// The package knows brokers only as its interface: no NATS, no network, and not
// the engine either. Packages live and relay know the engine, which is what they are for.
func TestLayersStayApart(t *testing.T) {
	const own = "github.com/fanloop-go/fanloop/engine/cluster"
	for _, dir := range []string{".", "clustertest", "internal/callback", "internal/mirror", "keyed", "live", "passive", "presence", "relay"} {
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range pkg.Imports {
			if (dir == "live" || dir == "relay") && path == "github.com/fanloop-go/fanloop/engine" {
				continue
			}
			if path == "net" || strings.Contains(path, ".") && path != own && path != own+"/internal/mirror" && path != own+"/internal/callback" {
				t.Errorf("%s must not import %s", dir, path)
			}
		}
	}
}
