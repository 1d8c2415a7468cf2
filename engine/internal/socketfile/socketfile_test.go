package socketfile

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// socketPath is a path that is short enough for a unix socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fanloop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "ws.sock")
}

// leaveFile leaves at path what a server does that was killed.
func leaveFile(t *testing.T, path string) {
	t.Helper()
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = dead.Close()
}

func TestOneOfManyServersGetsAStaleSocketFile(t *testing.T) {
	const starting, rounds = 4, 50
	for range rounds {
		path := socketPath(t)
		leaveFile(t, path)
		var listeners [starting]net.Listener
		var errs [starting]error
		var all sync.WaitGroup
		for i := range listeners {
			all.Go(func() { listeners[i], _, errs[i] = Listen(path, 0) })
		}
		all.Wait()
		listening := 0
		for i, err := range errs {
			switch {
			case err == nil:
				listening++
				defer listeners[i].Close()
			case !errors.Is(err, syscall.EADDRINUSE):
				t.Errorf("a server that came later got %v, want EADDRINUSE", err)
			}
		}
		if listening != 1 {
			t.Fatalf("%d servers think that they listen, want 1", listening)
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal("nobody listens there:", err)
		}
		_ = c.Close()
	}
}

func TestFileThatIsNoSocketIsLeftAlone(t *testing.T) {
	path := socketPath(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Listen(path, 0o600); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v, want EADDRINUSE", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

func TestOnlyAFileOfItsOwnIsRemoved(t *testing.T) {
	path := socketPath(t)
	nl, file, err := Listen(path, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o640 {
		t.Errorf("the file has mode %v (%v), want that of the call whatever the umask", info.Mode(), err)
	}
	if err := os.Rename(path, path+".old"); err != nil { // its inode is not given to the next
		t.Fatal(err)
	}
	leaveFile(t, path)
	file.Remove()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the file of a later server was removed: %v", err)
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	file.Remove()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its own file is left: %v", err)
	}
}
