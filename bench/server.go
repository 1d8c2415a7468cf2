package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// FloorName is the server all ratios are relative to.
const FloorName = "floor"

// Server is an echo server to measure.
type Server struct {
	Name string
	// Command is the program and its arguments; {port} stands for the port to listen on
	// at 127.0.0.1. It is run without a shell and must not fork: the CPU time and the
	// memory of that one process count.
	Command []string
	// GivesBack says that SIGUSR1 makes the server return freed memory to the system.
	GivesBack bool
}

// ParseServer reads name=command, as in "gorilla=./gorilla-echo {port}". The command is
// split at spaces; there is no quoting.
func ParseServer(text string) (Server, error) {
	name, command, found := strings.Cut(text, "=")
	s := Server{Name: name, Command: strings.Fields(command)}
	if !found || name == "" || !strings.Contains(command, "{port}") {
		return Server{}, fmt.Errorf("server %q: want name=command with {port} in it", text)
	}
	return s, nil
}

// process is a server that listens.
type process struct {
	pid    int
	port   int
	stop   func()        // ends it and waits; may be called again
	exited chan struct{} // closed when it is gone
	err    error         // how it ended; valid after exited
	said   tail
}

// start runs the server on one CPU and returns when it accepts connections. It ends with
// ctx. patience bounds the wait for the first accept.
func (s Server) start(ctx context.Context, cpu string, patience time.Duration) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("%s: find a free port: %w", s.Name, err)
	}
	args := []string{"-c", cpu}
	for _, arg := range s.Command {
		args = append(args, strings.ReplaceAll(arg, "{port}", strconv.Itoa(port)))
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "taskset", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	p := &process{port: port, exited: make(chan struct{})}
	p.stop = func() { cancel(); <-p.exited }
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	p.pid = cmd.Process.Pid
	go func() { p.err = cmd.Wait(); close(p.exited) }()
	if err := p.awaitAccept(ctx, patience); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return p, nil
}

func (p *process) awaitAccept(ctx context.Context, patience time.Duration) error {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port))
	late := time.After(patience)
	for {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			return c.Close()
		}
		select {
		case <-p.exited:
			return p.ended()
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("does not listen on %s after %v", addr, patience)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ended describes a server that is gone. Only valid after exited is closed.
func (p *process) ended() error {
	how := p.err
	if how == nil {
		how = errors.New("exit status 0")
	}
	if line := p.said.lastLine(); line != "" {
		return fmt.Errorf("the server ended (%w): %s", how, line)
	}
	return fmt.Errorf("the server ended (%w)", how)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
