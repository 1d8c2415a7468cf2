package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
)

// Server is one to measure.
type Server struct {
	Name string
	// Command is the program and its arguments; {addr} stands for the host:port to
	// listen on, {port} for the port alone. It is run without a shell and must not
	// fork: the CPU time and the memory of that one process count.
	Command []string
	// GivesBack says that SIGUSR1 makes the server return freed memory to the
	// system and, if it likes, log heap_bytes=N and ledger_bytes=N.
	GivesBack bool
	logs      bool // it does like to
	// Does holds what the server can do besides plain WebSockets: tls, deflate,
	// takeover, as names of scenarios have it. The values are arguments that ask
	// the command for it.
	Does map[string][]string
	// Plain measures the server without TLS and compression in every scenario, to
	// compare with.
	Plain bool
	// Topics says that it tells topics apart (?topic=N in the resource name).
	Topics bool

	// Target is the URL of a server that runs already, instead of Command.
	Target string
	// PID is the process of Target; 0 if unknown or elsewhere: no CPU time and no
	// memory then.
	PID int
}

// ParseServer reads name=command, as in "mine=./my-echo --addr {addr}". The
// command is split at spaces; there is no quoting. What a scenario needs, it must
// do as it stands.
func ParseServer(text string) (Server, error) {
	name, command, found := strings.Cut(text, "=")
	s := Server{Name: name, Command: strings.Fields(command), Does: DoesAsItStands(), Topics: true}
	if !found || name == "" || !strings.Contains(command, "{addr}") && !strings.Contains(command, "{port}") {
		return Server{}, usagef("server %q: want name=command with {addr} or {port} in it", text)
	}
	return s, nil
}

// DoesAsItStands is for servers that were started, or are, for what they are
// measured in.
func DoesAsItStands() map[string][]string {
	return map[string][]string{"tls": nil, "deflate": nil, "takeover": nil}
}

// lacks names what s needs and the server cannot do; "" if there is nothing.
func (s Server) lacks(spec Spec) string {
	if spec.Topics > 1 && !s.Topics {
		return "topics"
	}
	if s.Plain {
		return ""
	}
	for _, need := range spec.needs() {
		if _, ok := s.Does[need]; !ok {
			return need
		}
	}
	return ""
}

// process is a server that accepts connections.
type process struct {
	pid    int
	target string
	stop   func()        // ends it and waits; may be called again
	exited chan struct{} // closed when it is gone; nil if it is not ours
	err    error         // how it ended; valid after exited
	said   tail
}

// hasCPU says that the CPU time of the server can be read.
func (p *process) hasCPU() bool { return p.pid != 0 && load.HasProcessCPU }

// patience bounds the wait for a server to listen, and for what it logs.
const patience = 30 * time.Second

// start runs the server for spec on some CPUs and returns when it accepts
// connections. It ends with ctx.
func (s Server) start(ctx context.Context, spec Spec, cpus CPUs) (*process, error) {
	if s.Target != "" {
		return &process{pid: s.PID, target: s.Target, stop: func() {}}, nil
	}
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("%s: find a free port: %w", s.Name, err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	args := make([]string, len(s.Command))
	for i, arg := range s.Command {
		args[i] = strings.NewReplacer("{addr}", addr, "{port}", strconv.Itoa(port)).Replace(arg)
	}
	for _, need := range spec.needs() {
		args = append(args, s.Does[need]...)
	}
	p, err := launch(ctx, s.Name, args, addr, cpus)
	if err != nil {
		return nil, err
	}
	scheme := "ws"
	if spec.TLS {
		scheme = "wss"
	}
	p.target = scheme + "://" + addr + "/"
	return p, nil
}

// launch runs a command on some CPUs and returns when it accepts connections on addr.
func launch(ctx context.Context, name string, args []string, addr string, cpus CPUs) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := command(ctx, args)
	p := &process{exited: make(chan struct{})}
	p.stop = func() { cancel(); <-p.exited }
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	if err := startOn(cmd, cpus); err != nil {
		cancel()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	go func() { p.err = cmd.Wait(); close(p.exited) }()
	if err := p.awaitAccept(ctx, addr); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// command ends with ctx: asked to at first, then without asking.
func command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

func (p *process) awaitAccept(ctx context.Context, addr string) error {
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
			return fmt.Errorf("it does not listen on %s after %v", addr, patience)
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

// blame names the server, and says so if the reason is that it died.
func (p *process) blame(name string, err error) error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s: %w; %w", name, err, p.ended())
	default: // also if it is not ours
		return fmt.Errorf("%s: %w", name, err)
	}
}

// What a server may log when it is told to give memory back.
var (
	heapLine   = regexp.MustCompile(`heap_bytes=(\d+)`)
	ledgerLine = regexp.MustCompile(`ledger_bytes=(\d+)`)
)

// lines counts those that the server logged as line has it.
func (p *process) lines(line *regexp.Regexp) int { return len(line.FindAllString(p.said.all(), -1)) }

// logged is the last number that the server logged as line has it.
func (p *process) logged(line *regexp.Regexp) (uint64, bool) {
	found := line.FindAllStringSubmatch(p.said.all(), -1)
	if len(found) == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(found[len(found)-1][1], 10, 64)
	return n, err == nil
}

// freePort finds a port for a server. It is below those that the kernel gives to
// whoever asks for any (32768 and up on Linux), or another process might have it
// before the server listens.
func freePort() (port int, err error) {
	for range 100 {
		port = 20000 + rand.IntN(32768-20000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
