//go:build unix

package scenario

import "syscall"

// askMemory asks the server pid to collect and to report its memory.
func askMemory(pid int) error { return syscall.Kill(pid, syscall.SIGUSR1) }
