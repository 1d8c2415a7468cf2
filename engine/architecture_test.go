package engine_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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

// The rows of "Package engine and its internal packages" are the files of this package,
// all of them, and its internal packages.
func TestArchitectureListsAllFiles(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, house, _ := strings.Cut(string(text), "\n## Package engine and its internal packages\n")
	house, _, _ = strings.Cut(house, "\n## ")
	names := regexp.MustCompile("(?m)^\\| `[^|]*").FindAllString(house, -1)
	if len(names) < 30 {
		t.Fatalf("found %d rows only", len(names))
	}
	for _, row := range names {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1) {
			path := name[1]
			if !strings.HasSuffix(path, ".go") {
				path = filepath.Join("internal", path)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("ARCHITECTURE.md names %s: %v", name[1], err)
			}
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") && !strings.Contains(house, "`"+file+"`") {
			t.Errorf("ARCHITECTURE.md does not name %s", file)
		}
	}
}

// embedderModules are the modules that a program with a WebSocket server needs
// besides the standard library. Each one costs whoever embeds the engine: think
// twice before the list grows.
var embedderModules = []string{
	"github.com/gobwas/httphead", "github.com/gobwas/pool", "github.com/gobwas/ws",
	"github.com/klauspost/compress", "github.com/panjf2000/gnet/v2", "github.com/pires/go-proxyproto",
	"golang.org/x/net", "golang.org/x/sys",
}

func TestEmbeddersGetFewModules(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	list.Env = append(os.Environ(), "GOOS=linux")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := slices.Compact(slices.Sorted(strings.FieldsSeq(string(out))))
	modules = slices.DeleteFunc(modules, func(m string) bool { return m == "github.com/fanloop-go/fanloop" })
	if !slices.Equal(modules, embedderModules) {
		t.Errorf("engine needs %q, want %q", modules, embedderModules)
	}
}
