package natsbroker_test

import (
	"syscall"
	"testing"
)

// smallDisk is a file system of 16 MiB that can grow.
type smallDisk struct {
	t   *testing.T
	dir string
}

// mountSmallDisk makes dir one. It needs root.
func mountSmallDisk(t *testing.T, dir string) *smallDisk {
	t.Helper()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return &smallDisk{t, dir}
}

func (d *smallDisk) resize(size string) {
	d.t.Helper()
	if err := syscall.Mount("none", d.dir, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
		d.t.Fatal(err)
	}
}

// free is how many bytes are free.
func (d *smallDisk) free() int {
	d.t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		d.t.Fatal(err)
	}
	return int(s.Bavail) * int(s.Bsize)
}
