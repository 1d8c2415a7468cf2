//go:build !linux

package natsbroker_test

import "testing"

type smallDisk struct{}

// mountSmallDisk skips the test.
func mountSmallDisk(t *testing.T, _ string) *smallDisk {
	t.Helper()
	t.Skip("a small file system is mounted on Linux only")
	return nil
}

func (*smallDisk) resize(string) {}
func (*smallDisk) free() int     { return 0 }
