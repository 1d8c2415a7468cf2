package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The node_modules of Node's ws are in this folder, next to its package.json.
const npmDir = "testdata/npm"

// missing ends a test that lacks a foreign program: it skips, or fails where
// FANLOOP_INTEROP=required says that all of them were installed.
func missing(t *testing.T, what, install string) {
	t.Helper()
	const variable = "FANLOOP_INTEROP"
	if os.Getenv(variable) == "required" {
		t.Fatalf("%s is missing and %s=required: %s", what, variable, install)
	}
	t.Skipf("%s is missing: %s", what, install)
}

// program finds the first of names on PATH.
func program(t *testing.T, install string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, strings.Join(names, " or "), install)
	return ""
}

// script is a foreign program with both sides of the contract.
type script []string

func nodeWS(t *testing.T) script {
	t.Helper()
	node := program(t, "install Node.js", "node")
	if _, err := os.Stat(filepath.Join(npmDir, "node_modules", "ws")); err != nil {
		missing(t, "Node's ws", "run npm ci in engine/interop/"+npmDir)
	}
	return script{node, "testdata/interop/peer.js"}
}

// pythonWebsockets uses the interpreter that Debian's package belongs to,
// whichever python3 is first on PATH.
func pythonWebsockets(t *testing.T) script {
	t.Helper()
	const install = "apt-get install python3-websockets"
	python := program(t, install, "/usr/bin/python3")
	if err := exec.Command(python, "-c", "import websockets").Run(); err != nil {
		missing(t, "Python's websockets", install)
	}
	return script{python, "testdata/interop/peer.py"}
}

// start runs the script and ends it with the test. The lines it prints come out
// of the channel, which is closed behind the last.
func (s script) start(t *testing.T, side string, cfg map[string]any) <-chan string {
	t.Helper()
	arg, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience) // so that within fails first
	cmd := exec.CommandContext(ctx, s[0], s[1], side, string(arg))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		cancel()
		t.Fatal(err)
	}
	lines := readLines(stdout)
	t.Cleanup(func() {
		_ = stdin.Close() // a server ends by that
		if t.Failed() {
			cancel() // it may wait for what will not come
		}
		for range lines {
			continue // Wait wants everything read
		}
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%s %s: %v, wrote: %s", s[1], side, err, stderr.String())
		}
		cancel()
	})
	return lines
}

func readLines(r io.Reader) <-chan string {
	lines := make(chan string, 256)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}
