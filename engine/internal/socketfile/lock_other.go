//go:build !(linux || darwin || freebsd)

package socketfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// chmod does nothing: the mode of the file is set by name afterwards.
func chmod(uintptr, fs.FileMode) error { return nil }

// lockedByOther reports that no other process has the lock: servers that start at the same time
// on one path may disturb each other here.
func lockedByOther(*os.File) bool { return false }

// wsaConnRefused is what Windows returns where no process listens.
const wsaConnRefused = syscall.Errno(10061)

// refused reports whether err means that no process listens on a socket file.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, wsaConnRefused)
}
