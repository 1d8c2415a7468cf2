package bench

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// prepare checks what a run needs and raises the limit of open files to the hard limit,
// for this process and for those it starts.
func prepare() error {
	if _, err := exec.LookPath("taskset"); err != nil {
		return fmt.Errorf("%w: no taskset; install util-linux", ErrNotAvailable)
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	files.Cur = files.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("raise the limit of open files to %d: %w", files.Max, err)
	}
	return nil
}

// giveBack asks the server to return freed memory and reads what is left.
func giveBack(ctx context.Context, pid int, settle time.Duration) (uint64, error) {
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		return 0, fmt.Errorf("send SIGUSR1: %w", err)
	}
	return settledBytes(ctx, pid, settle)
}
