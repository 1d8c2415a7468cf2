package bench

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
			return addr.String()
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the floor does not listen")
	return ""
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
