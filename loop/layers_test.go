package loop

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fanloop-go/fanloop/"

// Only loop knows gnet, and loop knows no other package of the module.
func TestOnlyLoopImportsGnetAndLoopImportsNoSibling(t *testing.T) {
	gnet := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "peers" || d.Name() == ".git" || d.Name() == "testdata") { // peers: a module of its own, of other engines
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		inLoop := filepath.Dir(path) == filepath.Join("..", "loop")
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			switch {
			case strings.HasPrefix(name, "github.com/panjf2000/gnet") && !inLoop:
				t.Errorf("%s imports %s", path, name)
			case strings.HasPrefix(name, "github.com/panjf2000/gnet"):
				gnet++
			case strings.HasPrefix(name, module) && inLoop && name != module+"loop":
				t.Errorf("%s imports %s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if gnet == 0 {
		t.Error("no import of gnet was found: nothing is proven")
	}
}
