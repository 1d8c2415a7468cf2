//go:build linux || darwin || freebsd

package natsserver

import "golang.org/x/sys/unix"

// freeOf is how many bytes can be written to the disk of a folder.
func freeOf(dir string) (bytes int64, known bool) {
	var disk unix.Statfs_t
	if unix.Statfs(dir, &disk) != nil {
		return 0, false
	}
	return int64(disk.Bavail) * int64(disk.Bsize), true
}
