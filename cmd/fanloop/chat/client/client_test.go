package client_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/client"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// patience is how long a program may take, against hanging only.
const patience = 5 * time.Minute

// The client's README says of each code what to do, of the protocol's and of its own.
func TestEveryCodeIsInTheREADME(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"connection_lost", "no_token", "old_token", "breaker", "outbox_full", "not_found_out", "timeout", "unsubscribed"}
	for _, code := range protocol.Codes() {
		codes = append(codes, string(code))
	}
	for _, code := range codes {
		if !regexp.MustCompile("(?m)^\\|.*`" + code + "`.*\\| (never|later|refresh) \\|").Match(text) {
			t.Errorf("%s is not in the table", code)
		}
	}
}

// The tests of the client itself are in test/*.test.js.
func TestClientInNode(t *testing.T) {
	t.Parallel()
	node := chattest.Program(t, "node")
	chattest.Packages(t, "test/npm")
	files := glob(t, "test/*.test.js")
	frames := filepath.Join(t.TempDir(), "frames")
	if err := os.WriteFile(frames, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	output := run(t, []string{"FANLOOP_FRAMES=" + frames}, node, append([]string{"--test", "--test-reporter=tap"}, files...)...)
	if !strings.Contains(output, "# fail 0\n") || strings.Contains(output, "# pass 0\n") {
		t.Error(output)
	}
	readStrictly(t, frames)
}

// readStrictly reads what client and service said in the tests as the chat
// does: both sides speak the protocol, not one of their own.
func readStrictly(t *testing.T, path string) {
	t.Helper()
	lines, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for line := range bytes.Lines(lines) {
		side, frame, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		var err error
		if string(side) == "client" {
			for command, e := range protocol.Commands(protocol.JSON, protocol.DefaultLimits(), frame) {
				types[fmt.Sprintf("%T", command)], err = true, e
			}
		} else {
			for frame, e := range protocol.Frames(protocol.JSON, frame) {
				types[fmt.Sprintf("%T", frame)], err = true, e
			}
		}
		if err != nil {
			t.Errorf("%s sent %s: %v", side, frame, err)
		}
	}
	if len(types) < 20 {
		t.Errorf("only these were seen: %v", types)
	}
}

func TestTypesOfTheClient(t *testing.T) {
	t.Parallel()
	chattest.Program(t, "node")
	chattest.Packages(t, "test/npm")
	run(t, nil, filepath.Join("test", "npm", "node_modules", ".bin", "tsc"), "-p", "tsconfig.json")
}

// An application in TypeScript names the classes of the module, with the types that the service
// hands out.
func TestTypesForAnApplication(t *testing.T) {
	t.Parallel()
	chattest.Program(t, "node")
	chattest.Packages(t, "test/npm")
	app, err := os.ReadFile("test/app.ts")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, body := range map[string][]byte{"fanloop.js": client.Module(), "fanloop.d.ts": client.Types(), "app.ts": app} {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, nil, filepath.Join("test", "npm", "node_modules", ".bin", "tsc"), "--ignoreConfig", "--noEmit", "--strict", "--types", "",
		"--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler", filepath.Join(dir, "app.ts"))
}

// The module exports what its types name, and nothing else.
func TestTypesNameWhatTheModuleExports(t *testing.T) {
	node := chattest.Program(t, "node")
	module := filepath.Join(t.TempDir(), "module.mjs")
	if err := os.WriteFile(module, client.Module(), 0o600); err != nil {
		t.Fatal(err)
	}
	exported := strings.Fields(run(t, nil, node, "-e", `import(process.argv[1]).then((m) => console.log(Object.keys(m).join(" ")))`, module))
	var named []string
	for _, match := range regexp.MustCompile(`(?m)^export (?:class|function|const) (\w+)`).FindAllSubmatch(client.Types(), -1) {
		named = append(named, string(match[1]))
	}
	slices.Sort(exported)
	slices.Sort(named)
	if !slices.Equal(exported, named) {
		t.Errorf("the module exports %v, its types name %v", exported, named)
	}
}

// The module exports what its last source does, and its parts do not clash.
func TestModuleIsOneOfItsParts(t *testing.T) {
	node := chattest.Program(t, "node")
	dir := t.TempDir()
	module := filepath.Join(dir, "module.mjs")
	if err := os.WriteFile(module, client.Module(), 0o600); err != nil {
		t.Fatal(err)
	}
	const names = `import(process.argv[1]).then((m) => console.log(Object.keys(m).sort().join(), typeof new m.Client({url: "http://localhost"}).connect))`
	source, err := filepath.Abs("fanloop.js")
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, nil, node, "-e", names, module)
	if want := run(t, nil, node, "-e", names, source); got != want || !strings.Contains(got, "Client") {
		t.Errorf("the module exports %s, its source %s", got, want)
	}
	for _, word := range []string{"import", "@param", "//"} {
		for line := range bytes.Lines(client.Module()) {
			if bytes.HasPrefix(line, []byte(word)) {
				t.Errorf("a line of the module begins with %s: %s", word, line)
			}
		}
	}
}

// The module passes the tests of its parts: nothing that counts is lost when they are joined.
func TestModuleInNode(t *testing.T) {
	t.Parallel()
	node := chattest.Program(t, "node")
	dir := filepath.Join(t.TempDir(), "client")
	for _, pattern := range []string{"*.js", "test/*.js", "../PROTOCOL.md"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(pattern)), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range glob(t, pattern) {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if name == "fanloop.js" {
				source = client.Module()
			}
			if err := os.WriteFile(filepath.Join(dir, name), source, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	output := run(t, []string{"FANLOOP_ROUNDS=10"}, node, append([]string{"--test", "--test-reporter=tap"}, glob(t, filepath.Join(dir, "test/*.test.js"))...)...)
	if !strings.Contains(output, "# fail 0\n") || strings.Contains(output, "# pass 0\n") {
		t.Error(output)
	}
}

// glob returns the files of a pattern, of which there are some.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names
}

// The client is a part of a page of 60 KB.
func TestModuleIsSmall(t *testing.T) {
	var compressed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if _, err := w.Write(client.Module()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const limit = 15 << 10
	t.Logf("%d bytes, %d compressed", len(client.Module()), compressed.Len())
	if compressed.Len() > limit {
		t.Errorf("%d bytes compressed, at most %d are wanted", compressed.Len(), limit)
	}
}

// run returns what a program writes, and fails the test if it fails.
func run(t *testing.T, env []string, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.Env = append(os.Environ(), env...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(path), err, output)
	}
	return string(output)
}
