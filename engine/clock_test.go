package engine_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clockReaders are the files that may ask for the time. They only compare what
// they get with each other, by Since, Until, Add and Before, which use the
// monotonic reading (see the documentation of package time).
// engine/client_policy.go also gives it to StatusError.RetryAfter: a server may name a
// date.
var clockReaders = []string{
	"engine/http_bridge.go", "engine/http_read.go", "engine/http_write.go",
	"engine/internal/backoff/backoff.go", "engine/internal/certfile/certfile.go", "engine/internal/tlsconfig/tlsconfig.go",
	"loop/group.go", "loop/poller_gnet.go", "loop/throttle.go",
}

// dates tells peers what time it is, as HTTP wants. No timeout looks at it.
const dates = "engine/internal/httpdate/httpdate.go"

// wallClock are the methods that strip the monotonic reading or tell the wall
// clock, and the system calls and constants that ask for it.
var wallClock = []string{
	"Unix", "UnixMilli", "UnixMicro", "UnixNano", "Round", "Truncate", "UTC", "AddDate",
	"Gettimeofday", "ClockGettime", "CLOCK_REALTIME",
}

// L08: a step of the wall clock moves no timeout, because nothing that keeps
// time looks at it. The test reads the source, since the clock of the machine
// is not a test's to set.
func TestNothingThatKeepsTimeUsesTheWallClock(t *testing.T) {
	seen := map[string]bool{}
	packages, err := filepath.Glob("internal/*")
	if err != nil || len(packages) == 0 {
		t.Fatalf("no packages in internal: %v", err)
	}
	dirs := []string{"loop", "engine", "codec", "handshake"}
	for _, dir := range packages {
		if filepath.Base(dir) == "testkit" { // only tests import it
			continue
		}
		dirs = append(dirs, "engine/"+dir)
	}
	for _, dir := range dirs {
		names, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatalf("no source in %s: %v", dir, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			if dir+"/"+filepath.Base(name) == dates {
				seen[dates] = true
				continue
			}
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file := dir + "/" + filepath.Base(name)
			found, err := wallClockUses(file, string(src), slices.Contains(clockReaders, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, use := range found {
				t.Error(use)
			}
			seen[file] = true
		}
	}
	for _, file := range append(clockReaders, dates) {
		if !seen[file] {
			t.Errorf("%s may ask for the time but does not exist", file)
		}
	}
}

func TestWallClockUsesAreFound(t *testing.T) {
	head := "package p\nimport (\"time\"; clock \"time\")\nvar t time.Time\n"
	for src, want := range map[string]int{
		"var a = t.Unix()":              1,
		"var a = t.Round(0)":            1,
		"var a = time.Now().UnixNano()": 2, // where time.Now is not allowed
		"var a = time.Now":              1,
		"var a = clock.Now()":           1,
		"var a = time.Since(t)":         0,
		"var a = unix.CLOCK_REALTIME":   1,
	} {
		found, err := wallClockUses("p.go", head+src, false)
		if err != nil || len(found) != want {
			t.Errorf("%s: found %q, %v; want %d", src, found, err, want)
		}
	}
}

// wallClockUses tells where src uses the wall clock, or asks for the time
// although mayAsk is false.
func wallClockUses(file, src string, mayAsk bool) (found []string, err error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, src, 0)
	if err != nil {
		return nil, err
	}
	timePackage := map[string]bool{}
	for _, imp := range parsed.Imports {
		if imp.Path.Value != `"time"` {
			continue
		}
		timePackage["time"] = true
		if imp.Name != nil {
			timePackage[imp.Name.Name] = true
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		from, _ := sel.X.(*ast.Ident)
		asks := from != nil && timePackage[from.Name] && sel.Sel.Name == "Now"
		if asks && !mayAsk || slices.Contains(wallClock, sel.Sel.Name) {
			found = append(found, fmt.Sprintf("%s uses %s: it must keep to the monotonic clock", fset.Position(sel.Pos()), sel.Sel.Name))
		}
		return true
	})
	return found, nil
}
