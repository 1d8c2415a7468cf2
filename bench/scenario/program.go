package scenario

import (
	"context"
	"os/exec"
)

// Program is a server of a scenario that another package measures.
type Program struct {
	name    string
	process *process
}

// StartProgram runs a command on some CPUs and returns when it accepts connections on
// addr. Name is for errors. It ends with ctx.
func StartProgram(ctx context.Context, name string, args []string, addr string, cpus CPUs) (*Program, error) {
	p, err := launch(ctx, name, args, addr, cpus)
	if err != nil {
		return nil, err
	}
	return &Program{name, p}, nil
}

// PID is that of the process.
func (p *Program) PID() int { return p.process.pid }

// Stop ends the program and waits. It may be called again.
func (p *Program) Stop() { p.process.stop() }

// Blame names the program in an error, and says so if the reason is that it ended.
func (p *Program) Blame(err error) error {
	if err == nil {
		return nil
	}
	return p.process.blame(p.name, err)
}

// StartOn starts a program on some CPUs. It dies with this process.
func StartOn(cmd *exec.Cmd, cpus CPUs) error { return startOn(cmd, cpus) }

// FreePort finds a port of 127.0.0.1 for a server.
func FreePort() (int, error) { return freePort() }

// ResidentBytes is the memory that a process holds, exactly.
func ResidentBytes(pid int) (uint64, error) { return residentBytes(pid) }

// GiveBack asks a process of fanloop to return freed memory to the system, by SIGUSR1.
// Other programs may end of it.
func GiveBack(pid int) error { return askMemory(pid) }

// KernelBytes is what the kernel holds for buffers of all TCP sockets of the machine.
func KernelBytes() (n uint64, known bool) { return kernelBytes() }

// Tail keeps the end of what a program printed. The zero value is ready; any goroutine
// may use it.
type Tail struct{ tail }

// LastLine is the last line that is not empty.
func (t *Tail) LastLine() string { return t.lastLine() }
