//go:build linux || darwin || freebsd

package socketfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// chmod sets the permissions of a socket, where the system can do that.
func chmod(fd uintptr, mode fs.FileMode) error {
	return syscall.Fchmod(int(fd), uint32(mode.Perm()))
}

// lockedByOther tries to lock dir; true means that another process has the lock.
func lockedByOther(dir *os.File) bool {
	err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return err == syscall.EWOULDBLOCK || err == syscall.EINTR
}

// refused reports whether err means that no process listens on a socket file.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
