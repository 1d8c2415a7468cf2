package load_test

import (
	"errors"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

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
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr)
	ln.Close()
	cmd := exec.Command(path, strconv.Itoa(addr.Port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	for range 500 {
		if c, err := net.Dial("tcp", addr.String()); err == nil {
			c.Close()
			return "ws://" + addr.String() + "/"
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the floor does not listen")
	return ""
}
