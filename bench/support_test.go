package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		err := goleak.Find()
		for end := time.Now().Add(patience); err != nil && time.Now().Before(end); {
			err = goleak.Find() // goroutines that were told to end need a CPU for it
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// patience bounds every wait for something that has to happen.
const patience = time.Minute

// startFloor runs the floor until the test ends, and returns its address.
func startFloor(t *testing.T) string {
	t.Helper()
	path, err := BuildFloor(t.Context(), t.TempDir())
	if errors.Is(err, ErrNotAvailable) {
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
	return addr
}

// startServer serves with fanloop until the test ends, and returns the address.
func startServer(t *testing.T) string {
	t.Helper()
	return startServerWith(t, Options{})
}

func startServerWith(t *testing.T, o Options) string {
	t.Helper()
	o.Loops, o.Log = 2, slog.New(slog.NewTextHandler(io.Discard, nil))
	srv, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return addr.String()
}
