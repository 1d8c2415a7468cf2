package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// defaultGrace is how long the client may take to connect, to see the last echoes, and to
// be held.
const defaultGrace = 20 * time.Second

// connsPerSource stays below the number of ephemeral ports one address has.
const connsPerSource = 10000

// Window is what the client saw in one round of Echo or Handshake.
type Window struct {
	Messages     uint64  `json:"messages"` // echoes or handshakes
	Seconds      float64 `json:"seconds"`
	ClientMicros float64 `json:"client_cpu_us"` // CPU time of the client
	ServerMicros float64 `json:"server_cpu_us"` // CPU time of the server process, all threads
}

// client runs the load program on one CPU.
type client struct {
	path  string
	cpu   string
	grace time.Duration
}

func (c client) command(ctx context.Context, s Scenario, p *process, options ...string) *exec.Cmd {
	args := append([]string{"-c", c.cpu, c.path, string(s.Mode), strconv.Itoa(p.port),
		option("pid", p.pid), option("conns", s.Conns), option("size", s.Size), option("inflight", s.InFlight),
		option("sources", s.Conns/connsPerSource+1)}, options...)
	cmd := exec.CommandContext(ctx, "taskset", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

func option(name string, value int) string { return fmt.Sprintf("%s=%d", name, value) }

// measure works on p for warmUp and then for window, and reports the latter.
func (c client) measure(ctx context.Context, s Scenario, p *process, warmUp, window time.Duration) (Window, error) {
	// The client keeps its own deadlines; this one is for a client that is broken.
	ctx, cancel := context.WithTimeout(ctx, warmUp+window+3*c.grace)
	defer cancel()
	var out bytes.Buffer
	var said tail
	cmd := c.command(ctx, s, p, option("deadline", int(c.grace.Milliseconds())),
		option("warmup", int(warmUp.Milliseconds())), option("window", int(window.Milliseconds())))
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return Window{}, failed(err, &said)
	}
	var w Window
	if err := json.Unmarshal(out.Bytes(), &w); err != nil {
		return Window{}, fmt.Errorf("read the load client's answer: %w", err)
	}
	return w, nil
}

// hold opens the connections, echoes once on each, calls held while all of them are open,
// and closes them. A connection that did not stay open is an error.
func (c client) hold(ctx context.Context, s Scenario, p *process, held func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 4*c.grace)
	defer cancel()
	cmd := c.command(ctx, s, p, option("deadline", int(c.grace.Milliseconds())))
	var said tail
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var opened struct{ Connections int }
	err = json.NewDecoder(out).Decode(&opened)
	if err == nil {
		err = held()
	}
	in.Close()
	_, _ = io.Copy(io.Discard, out)
	if ended := cmd.Wait(); ended != nil {
		return failed(ended, &said)
	}
	return err
}

// failed prefers the client's own line to its exit status.
func failed(err error, said *tail) error {
	if line := said.lastLine(); line != "" {
		return errors.New(line)
	}
	return fmt.Errorf("the load client: %w", err)
}
