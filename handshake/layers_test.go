package handshake

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The opening handshake is values only: nothing here can reach a socket, another
// layer or the event loop.
func TestLayersStayApart(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			seen++
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			values := path == "net/url" || path == "net/netip"
			network := path == "net" || strings.HasPrefix(path, "net/") && !values
			if network || path == "os" || path == "syscall" || strings.Contains(path, "gnet") ||
				strings.HasPrefix(path, "github.com/fanloop-go/") || strings.HasPrefix(path, "golang.org/x/sys") {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
	if seen == 0 {
		t.Error("no import was seen")
	}
}
