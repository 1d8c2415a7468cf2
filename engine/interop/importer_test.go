package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// importer is a program of another module. It is built with its symbol table and
// debugging information, and without the paths of this checkout, which change its size.
type importer struct {
	t   *testing.T
	dir string
}

// newImporter writes the program. It needs engine if it says so in its source.
func newImporter(t *testing.T, source string) *importer {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	im := &importer{t, t.TempDir()}
	im.write("main.go", source)
	im.write("go.mod", "module example.com/importer\n\ngo 1.26.0\n\n"+
		"require github.com/fanloop-go/fanloop v0.0.0\n\nreplace github.com/fanloop-go/fanloop => "+root+"\n")
	im.run("mod", "tidy")
	return im
}

func (im *importer) write(name, content string) {
	im.t.Helper()
	if err := os.WriteFile(filepath.Join(im.dir, name), []byte(content), 0o600); err != nil {
		im.t.Fatal(err)
	}
}

func (im *importer) run(args ...string) {
	im.t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = im.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		im.t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// size builds the program and returns how large it is.
func (im *importer) size() int64 {
	im.t.Helper()
	im.run("build", "-trimpath", "-o", "program")
	info, err := os.Stat(filepath.Join(im.dir, "program"))
	if err != nil {
		im.t.Fatal(err)
	}
	return info.Size()
}

const echoProgram = `package main

import (
	"log"

	"github.com/fanloop-go/fanloop/engine"
)

func main() {
	srv := &engine.Server{Addr: ":9001", Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) },
	}}
	log.Fatal(srv.ListenAndServe())
}
`

// httpProgram has what engine uses of the standard library: net/http, TLS and slog.
const httpProgram = `package main

import (
	"log"
	"log/slog"
	"net/http"
)

func main() {
	slog.Info("serving")
	log.Fatal(http.ListenAndServeTLS(":9001", "cert.pem", "key.pem", http.NotFoundHandler()))
}
`

// sums are the modules that go mod tidy puts into the go.sum of a program that
// imports engine. Those of the second list are needed by tests of the first only,
// or by -tags netpoll and macOS.
var sums = slices.Concat([]string{
	"github.com/gobwas/httphead", "github.com/gobwas/pool", "github.com/gobwas/ws",
	"github.com/klauspost/compress", "github.com/panjf2000/gnet/v2", "github.com/pires/go-proxyproto",
	"golang.org/x/net", "golang.org/x/sys",
}, []string{
	"github.com/davecgh/go-spew", "github.com/pmezard/go-difflib", "github.com/stretchr/testify",
	"go.uber.org/goleak", "go.uber.org/multierr", "go.uber.org/zap", "go.yaml.in/yaml/v3",
	"gopkg.in/natefinch/lumberjack.v2", "gopkg.in/yaml.v3",
})

// The tests of engine and of what it imports need no module that an importer would
// not have anyway: go mod tidy would list it in the go.sum of each of them.
func TestImportersGetFewSums(t *testing.T) {
	im := newImporter(t, echoProgram)
	content, err := os.ReadFile(filepath.Join(im.dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(content)) {
		got = append(got, strings.Fields(line)[0])
	}
	slices.Sort(got)
	got = slices.Compact(got)
	slices.Sort(sums)
	if !slices.Equal(got, sums) {
		t.Errorf("go.sum lists %q, want %q", got, sums)
	}
}

// What engine adds to a program stays small: at most 2.0 MB beyond the standard
// library's server with TLS and slog, which is most of the size.
func TestEngineAddsFewBytes(t *testing.T) {
	const most = 2_000_000
	with, without := newImporter(t, echoProgram).size(), newImporter(t, httpProgram).size()
	t.Logf("echo server: %d bytes, net/http with TLS and slog: %d, so engine adds %d", with, without, with-without)
	if with-without > most {
		t.Errorf("engine adds %d bytes, want %d at most", with-without, most)
	}
}
