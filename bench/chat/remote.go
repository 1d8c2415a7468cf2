package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/scenario"
)

// line is a line of a child's output: its progress, or, as the last one, its result.
type line struct {
	Show   string  `json:"show,omitempty"`
	Over   bool    `json:"over,omitempty"`
	Result *Result `json:"result,omitempty"`
	Error  string  `json:"error,omitempty"`
	Usage  bool    `json:"usage,omitempty"` // the error is a *load.ConfigError
}

// Child runs the Config that it reads from in, and writes lines to out. A Remote starts a
// process that calls it.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	var c Config
	if err := json.NewDecoder(in).Decode(&c); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	lines := json.NewEncoder(out)
	result, err := Run(ctx, c, func(text string) { _ = lines.Encode(line{Show: text}) }) // the last line reports a failure to write
	last := line{Over: true, Result: result}
	if err != nil {
		_, usage := errors.AsType[*load.ConfigError](err)
		last.Error, last.Usage = err.Error(), usage
	}
	return lines.Encode(last)
}

// Remote runs a Config in a child process.
type Remote struct {
	Command []string      // a program that calls Child, and its arguments
	CPUs    scenario.CPUs // on which it runs
}

// Run is [Run] in a child process. Its error is no *FaultError: read Result.Faults.
func (r Remote) Run(ctx context.Context, c Config, show func(string)) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.Command[0], r.Command[1:]...)
	var said scenario.Tail
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := scenario.StartOn(cmd, r.CPUs); err != nil {
		return nil, fmt.Errorf("start the process of the users: %w", err)
	}
	result, err := talkTo(c, in, out, show)
	_ = in.Close()
	if err != nil && result == nil {
		cancel()
	}
	if ended := cmd.Wait(); ended != nil && err == nil {
		err = ended
	}
	if last := said.LastLine(); err != nil && last != "" {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return result, err
}

// talkTo writes c to a child, and reads its lines until the result.
func talkTo(c Config, in io.Writer, out io.Reader, show func(string)) (*Result, error) {
	if err := json.NewEncoder(in).Encode(c); err != nil {
		return nil, err
	}
	for lines := json.NewDecoder(out); ; {
		var l line
		if err := lines.Decode(&l); err != nil {
			return nil, fmt.Errorf("the process of the users has ended: %w", err)
		}
		switch {
		case !l.Over:
			show(l.Show)
			continue
		case l.Usage:
			return l.Result, &load.ConfigError{Reason: l.Error}
		case l.Error != "":
			return l.Result, errors.New(l.Error)
		}
		return l.Result, nil
	}
}
