package engine_test

import (
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are the packages whose first page a stranger reads.
var pages = []string{".", "pull", "cluster", "../codec", "../handshake", "../loop"}

// notALink is what is left of [Name] when there is no such name to link to.
var notALink = regexp.MustCompile(`\[\*?[A-Z][\w.]*\]`)

// Every [Name] on the first page of a package is a link to something that exists.
func TestPackagePagesLink(t *testing.T) {
	for _, dir := range pages {
		pkg := packageDoc(t, dir)
		eachText(pkg.Parser().Parse(pkg.Doc).Content, func(text comment.Text) {
			switch text := text.(type) {
			case comment.Plain:
				if names := notALink.FindAllString(string(text), -1); names != nil {
					t.Errorf("%s: nothing to link to: %v", dir, names)
				}
			case *comment.DocLink:
				if own, ok := strings.CutPrefix(text.ImportPath, "github.com/fanloop-go/fanloop/"); ok {
					if _, err := os.Stat(filepath.Join("..", own)); err != nil {
						t.Errorf("%s: %v", dir, err)
					}
				}
			}
		})
	}
}

// packageDoc reads the documentation of the package in dir, for the platform of the test.
func packageDoc(t *testing.T, dir string) *doc.Package {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, dir)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// eachText calls fn for the texts in blocks that are no code.
func eachText(blocks []comment.Block, fn func(comment.Text)) {
	for _, block := range blocks {
		switch block := block.(type) {
		case *comment.Paragraph:
			for _, text := range block.Text {
				fn(text)
			}
		case *comment.List:
			for _, item := range block.Items {
				eachText(item.Content, fn)
			}
		}
	}
}
