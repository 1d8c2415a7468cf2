package engine_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// ARCHITECTURE.md is a map: the files it names exist, and where it names a
// function behind a file, the function is there.
func TestArchitectureNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:bench|cmd|codec|engine|handshake|loop)/[^` ]+\\.go)`(?: `(\\w+)`)?").FindAllSubmatch(text, -1)
	if len(named) < 20 {
		t.Fatalf("found the names of %d files only", len(named))
	}
	for _, match := range named {
		path, function := string(match[1]), string(match[2])
		files, err := filepath.Glob("../" + path)
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no such file (%v)", path, err)
			continue
		}
		if function == "" {
			continue
		}
		source, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`(?m)^func (\(.*?\) )?` + function + `\(`).Match(source) {
			t.Errorf("%s: no function %s", path, function)
		}
	}
}
