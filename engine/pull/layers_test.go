package pull_test

import (
	"go/build"
	"strings"
	"testing"
)

// The package is built on what package engine exports, and on nothing below it.
func TestLayersStayApart(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pkg.Imports {
		if strings.Contains(path, ".") && path != "github.com/fanloop-go/fanloop/engine" {
			t.Errorf("it imports %s", path)
		}
	}
}
