//go:build !linux

package scenario

import (
	"fmt"
	"os/exec"
)

// DefaultCPUs leaves servers and clients to the system.
func DefaultCPUs() (servers, clients CPUs) { return nil, nil }

// startOn starts cmd; here programs cannot be bound to CPUs.
func startOn(cmd *exec.Cmd, cpus CPUs) error {
	if len(cpus) > 0 {
		return fmt.Errorf("programs can be bound to CPUs on Linux only; choose any")
	}
	return cmd.Start()
}
