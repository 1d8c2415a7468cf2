// Package socketfile listens on unix sockets and removes the files they make.
package socketfile

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// File is the file of a unix socket that this process made.
type File struct {
	path string
	info fs.FileInfo // to know it again
}

// Listen listens on path. It replaces the file of a dead server; if the server
// lives, the error is syscall.EADDRINUSE. mode is the permissions of the file, 0
// for what the umask leaves. The File is nil for a name that begins with @
// (abstract, Linux only), which makes none. Close of the listener removes the file as
// package net does; whoever takes its descriptor over calls Remove.
func Listen(path string, mode fs.FileMode) (net.Listener, *File, error) {
	abstract := strings.HasPrefix(path, "@")
	if !abstract {
		defer lockDirectory(path)()
		if err := removeStale(path); err != nil {
			return nil, nil, err
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if mode == 0 {
			return nil
		}
		return raw.Control(func(fd uintptr) { // where that is not possible, chmod does it later
			_ = chmod(fd, mode)
		})
	}}
	nl, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, nil, err
	}
	if abstract {
		return nl, nil, nil
	}
	file, err := own(path, mode)
	if err != nil {
		_ = nl.Close() // and with it the file
		return nil, nil, err
	}
	return nl, file, nil
}

// own returns the file at path, with the permissions of mode.
func own(path string, mode fs.FileMode) (*File, error) {
	if mode != 0 {
		if err := os.Chmod(path, mode.Perm()); err != nil { // the umask took some away
			return nil, err
		}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, info: info}, nil
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
		if !lockedByOther(dir) {
			break
		}
		time.Sleep(lockPause)
	}
	return func() { _ = dir.Close() } // and with it the lock
}

const (
	lockTries = 300
	lockPause = 10 * time.Millisecond // 3 s in all, a dial of removeStale takes up to 1 s
)

// removeStale removes the file of a dead server at path.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return nil // free, or bind says what is wrong
	}
	nc, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = nc.Close()
	}
	if !refused(err) {
		return fmt.Errorf("a server listens there: %w", syscall.EADDRINUSE)
	}
	return (&File{path: path, info: info}).removeIfSame()
}

// Remove removes the file, unless it is gone or another server's by now. A nil File
// has nothing to remove.
func (f *File) Remove() {
	if f != nil {
		_ = f.removeIfSame() // what is left, the next server clears
	}
}

func (f *File) removeIfSame() error {
	if now, err := os.Lstat(f.path); err != nil || !os.SameFile(now, f.info) {
		return nil
	}
	return os.Remove(f.path)
}
