package scenario

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// DefaultCPUs gives the servers the first CPU this process may use and the
// clients the rest; with one CPU, both are left to the system.
func DefaultCPUs() (servers, clients CPUs) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() < 2 {
		return nil, nil
	}
	for n := range 1024 {
		if !set.IsSet(n) {
			continue
		}
		if servers == nil {
			servers = CPUs{n}
		} else {
			clients = append(clients, n)
		}
	}
	return servers, clients
}

// startOn starts cmd on cpus, which a child takes over from the thread that
// makes it. It dies with this process.
func startOn(cmd *exec.Cmd, cpus CPUs) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if len(cpus) == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the CPUs of this process: %w", err)
	}
	for _, n := range cpus {
		set.Set(n)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("CPUs %v cannot be used here; choose others, or any: %w", cpus, err)
	}
	defer unix.SchedSetaffinity(0, &before) // they were in force before
	return cmd.Start()
}
