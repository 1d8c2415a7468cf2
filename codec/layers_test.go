package codec

import (
	"go/build"
	"slices"
	"strings"
	"testing"
)

// The package knows bytes only: no network, no event loop, no sibling.
func TestLayersStayApart(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(pkg.Imports, "github.com/gobwas/ws") {
		t.Fatalf("imports %v do not look like those of this package", pkg.Imports)
	}
	for _, path := range pkg.Imports {
		switch {
		case path == "net" || strings.HasPrefix(path, "net/"),
			path == "os" || path == "syscall" || strings.HasPrefix(path, "golang.org/x/sys/"),
			strings.HasPrefix(path, "github.com/panjf2000/gnet"),
			strings.HasPrefix(path, "github.com/fanloop-go/fanloop"):
			t.Errorf("codec must not import %s", path)
		}
	}
}
