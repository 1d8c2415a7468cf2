package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// socketFile is the file of a unix socket that this process made.
type socketFile struct {
	path string
	info fs.FileInfo // to know it again
}

// openSocketFile listens on path. There is no file, so nil, for a name that
// begins with @ (abstract, Linux only).
func openSocketFile(path string, mode fs.FileMode) (net.Listener, *socketFile, error) {
	abstract := strings.HasPrefix(path, "@")
	if !abstract {
		defer lockDirectory(path)()
		if err := clearSocketFile(path); err != nil {
			return nil, nil, fmt.Errorf("engine: listen on unix:%s: %w", path, err)
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if mode == 0 {
			return nil
		}
		return raw.Control(func(fd uintptr) { // where that is not possible, chmod does it later
			_ = syscall.Fchmod(int(fd), uint32(mode.Perm()))
		})
	}}
	nl, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, nil, fmt.Errorf("engine: listen on unix:%s: %w", path, err)
	}
	if abstract {
		return nl, nil, nil
	}
	file, err := ownSocketFile(path, mode)
	if err != nil {
		_ = nl.Close() // and with it the file
		return nil, nil, fmt.Errorf("engine: listen on unix:%s: %w", path, err)
	}
	return nl, file, nil
}

func ownSocketFile(path string, mode fs.FileMode) (*socketFile, error) {
	if mode != 0 {
		if err := os.Chmod(path, mode.Perm()); err != nil { // the umask took some away
			return nil, err
		}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	return &socketFile{path: path, info: info}, nil
}

// lockDirectory keeps other servers that start from looking at what lies at path
// before this one listens: a socket that is bound and does not listen yet looks
// like what a dead server left. It gives up on a directory that may not be read,
// or is locked for so long that it is not by a server that starts.
func lockDirectory(path string) (unlock func()) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return func() {}
	}
	for range lockTries {
		if err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			break
		}
		time.Sleep(lockPause)
	}
	return func() { _ = dir.Close() } // and with it the lock
}

const (
	lockTries = 300
	lockPause = 10 * time.Millisecond // 3 s in all, a dial of clearSocketFile takes up to 1 s
)

// clearSocketFile removes what a dead server left at path.
func clearSocketFile(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return nil // free, or bind says what is wrong
	}
	nc, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = nc.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("a server listens there: %w", syscall.EADDRINUSE)
	}
	return (&socketFile{path: path, info: info}).removeIfSame()
}

// remove removes the file, unless it is gone or another server's by now.
func (f *socketFile) remove() {
	if f != nil {
		_ = f.removeIfSame() // what is left, the next server clears
	}
}

func (f *socketFile) removeIfSame() error {
	if now, err := os.Lstat(f.path); err != nil || !os.SameFile(now, f.info) {
		return nil
	}
	return os.Remove(f.path)
}
