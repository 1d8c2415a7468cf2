//go:build unix

package load

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// ownFiles is how many descriptors a process needs besides its connections.
const ownFiles = 64

// MaxConns is the most connections one process may have: its limit of open
// files as far as it can be raised, less what it needs for itself.
func MaxConns() int {
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil {
		return 1 << 20
	}
	return int(min(files.Max, 1<<24)) - ownFiles
}

// RaiseFileLimit makes room for n connections.
func RaiseFileLimit(n int) error {
	if most := MaxConns(); n > most {
		return fmt.Errorf("%d connections need %d descriptors and a process may open %d here: use more client processes, or raise the limit (ulimit -n)",
			n, n+ownFiles, most+ownFiles)
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	files.Cur = files.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("raise the limit of open files to %d: %w", files.Max, err)
	}
	return nil
}
