package load_test

import (
	"bufio"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/bench"
)

// serveFloor starts the floor in a process of its own, so that what it
// allocates is not counted here.
func serveFloor(t *testing.T) string {
	t.Helper()
	path, err := bench.BuildFloor(t.Context(), t.TempDir())
	if errors.Is(err, bench.ErrNotAvailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr, found := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if !found {
		t.Fatalf("the floor says %q, %v", line, err)
	}
	return "ws://" + addr + "/"
}
