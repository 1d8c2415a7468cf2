package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// given is what the fragments of README.md are about, as its section Start says.
const given = `package %s

import (
	"context"
	"net/http"

	"github.com/fanloop-go/fanloop/engine"
)

var (
	ctx   context.Context
	srv   *engine.Server
	ws    *engine.WebSocket
	text  []byte
	login func(*engine.Request) (http.Header, error) // a fragment before defines it
)
`

// importable are the packages that fragments of README.md use, by name.
var importable = map[string]string{
	"bytes": "bytes", "context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http",
	"log": "log", "netip": "net/netip", "os": "os", "signal": "os/signal", "syscall": "syscall",
	"time": "time", "tls": "crypto/tls",
	"engine":     "github.com/fanloop-go/fanloop/engine",
	"handshake":  "github.com/fanloop-go/fanloop/handshake",
	"pull":       "github.com/fanloop-go/fanloop/engine/pull",
	"relay":      "github.com/fanloop-go/fanloop/engine/cluster/relay",
	"natsbroker": "github.com/fanloop-go/fanloop/engine/cluster/natsbroker",
}

// snippet is a block of Go in README.md, or a program on the page of package engine.
type snippet struct {
	file string
	line int // of its first line in file
	code string
}

// Every block of Go in README.md is formatted and compiles, and so does the program on
// the page of package engine. A program is compiled as it is. A fragment, which begins
// otherwise than with package, is the body of a function beside what is given, and
// imports what it uses.
func TestReadmeSnippetsCompile(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets, programs := goBlocks(string(readme)), pagePrograms(t)
	if len(snippets) < 10 || len(programs) != 1 {
		t.Fatalf("README.md has %d blocks of Go, doc.go %d programs", len(snippets), len(programs))
	}
	files := overlay{t: t, dir: t.TempDir(), Replace: map[string]string{}}
	args := []string{"list", "-export", "-overlay", files.dir + "/overlay.json"} // compiles, and links nothing
	for i, s := range append(snippets, programs...) {
		name := fmt.Sprintf("snippet%d", i)
		s.checkFormat(t)
		if s.isProgram() {
			files.add(name, "main.go", fmt.Sprintf("//line %s:%d\n%s", s.file, s.line, s.code))
		} else {
			files.add(name, "fragment.go", s.asFunction(t, name))
			files.add(name, "given.go", fmt.Sprintf(given, name))
		}
		args = append(args, "./readme/"+name)
	}
	files.save()
	cmd, complaints := exec.Command("go", args...), new(bytes.Buffer)
	cmd.Stderr = complaints
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s", err, complaints)
	}
}

// goBlocks returns the blocks of Go in a page of Markdown.
func goBlocks(page string) (all []snippet) {
	var block *snippet
	for i, line := range strings.Split(page, "\n") {
		switch {
		case line == "```go":
			block = &snippet{file: "README.md", line: i + 2}
		case line == "```" && block != nil:
			all, block = append(all, *block), nil
		case block != nil:
			block.code += line + "\n"
		}
	}
	return all
}

// pagePrograms returns the programs on the page of package engine.
func pagePrograms(t *testing.T) (all []snippet) {
	pkg := packageDoc(t, ".")
	for _, block := range pkg.Parser().Parse(pkg.Doc).Content {
		if code, ok := block.(*comment.Code); ok {
			if s := (snippet{file: "doc.go", line: 1, code: code.Text}); s.isProgram() {
				all = append(all, s)
			}
		}
	}
	return all
}

func (s snippet) isProgram() bool { return strings.HasPrefix(s.code, "package ") }

// checkFormat fails if gofmt would change s.
func (s snippet) checkFormat(t *testing.T) {
	t.Helper()
	if formatted, err := format.Source([]byte(s.code)); err != nil {
		t.Errorf("%s:%d: %v", s.file, s.line, err)
	} else if string(formatted) != s.code {
		t.Errorf("%s:%d: gofmt writes\n%s", s.file, s.line, formatted)
	}
}

// asFunction makes a file of package pkg of a fragment.
func (s snippet) asFunction(t *testing.T, pkg string) string {
	body := fmt.Sprintf("func _() {\n//line %s:%d\n%s}\n", s.file, s.line, s.code)
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+body, 0)
	if err != nil {
		t.Fatal(err)
	}
	var imports []string
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && importable[x.Name] != "" {
				imports = append(imports, fmt.Sprintf("import %q\n", importable[x.Name]))
			}
		}
		return true
	})
	slices.Sort(imports)
	return "package " + pkg + "\n" + strings.Join(slices.Compact(imports), "") + body
}

// overlay is a set of packages below engine/readme that only the go command sees.
type overlay struct {
	t       *testing.T
	dir     string
	Replace map[string]string
}

// add writes a file of the package of that name.
func (o *overlay) add(pkg, name, source string) {
	o.t.Helper()
	place, err := filepath.Abs(filepath.Join("readme", pkg, name))
	if err != nil {
		o.t.Fatal(err)
	}
	o.Replace[place] = filepath.Join(o.dir, pkg+"_"+name)
	if err := os.WriteFile(o.Replace[place], []byte(source), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// save writes the file that the go command takes for -overlay.
func (o *overlay) save() {
	o.t.Helper()
	content, err := json.Marshal(o)
	if err == nil {
		err = os.WriteFile(filepath.Join(o.dir, "overlay.json"), content, 0o600)
	}
	if err != nil {
		o.t.Fatal(err)
	}
}
