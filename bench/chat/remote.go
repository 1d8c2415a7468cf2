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

// line is what a child writes: what is under way, and at the end what came out.
type line struct {
	Show   string  `json:"show,omitempty"`
	Over   bool    `json:"over,omitempty"`
	Result *Result `json:"result,omitempty"`
	Error  string  `json:"error,omitempty"`
	Usage  bool    `json:"usage,omitempty"` // the error is a *load.ConfigError
}

// Child is what the process does that a Remote starts: it carries out the Config that it
// reads.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	var c Config
	if err := json.NewDecoder(in).Decode(&c); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	lines := json.NewEncoder(out)
	result, err := Run(ctx, c, func(text string) { _ = lines.Encode(line{Show: text}) }) // the last line will tell
	last := line{Over: true, Result: result}
	if err != nil {
		_, usage := errors.AsType[*load.ConfigError](err)
		last.Error, last.Usage = err.Error(), usage
	}
	return lines.Encode(last)
}

// Remote runs in a process of its own.
type Remote struct {
	Command []string      // the program that calls Child, and its arguments
	CPUs    scenario.CPUs // where it runs
}

// Run is [Run]. The error is not a *FaultError: see Result.Faults.
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

// talkTo gives a child its Config and reads what it writes.
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
