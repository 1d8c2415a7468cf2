package history

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// order is the first line that a child reads.
type order struct {
	Node bool   // otherwise a crowd of clients
	URL  string // of NATS, or of the node

	// Of a crowd.
	Conns, Size, Messages int
}

// question is every other line that a child reads.
type question struct {
	Memory bool // of a node: its memory too, which takes it time
	Number int  // of a crowd: how many have this message
}

// report is each line that a child writes.
type report struct {
	Addr  string        `json:",omitempty"` // of a node: where it listens
	CPU   time.Duration `json:",omitempty"`
	RSS   uint64        `json:",omitempty"`
	Live  int           `json:",omitempty"`
	Count int           `json:",omitempty"` // of a crowd: deliveries of one message
	Last  int64         `json:",omitempty"` // and when the last one was
	Error string        `json:",omitempty"`
}

// Child is what a process does that Room started: it takes orders from in until that
// ends.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := json.NewDecoder(in)
	answers := json.NewEncoder(out)
	var o order
	if err := lines.Decode(&o); err != nil {
		return err
	}
	serve := serveCrowd
	if o.Node {
		serve = serveNode
	}
	err := serve(ctx, o, lines, answers)
	if err != nil {
		_ = answers.Encode(report{Error: err.Error()}) // the parent sees the end otherwise
	}
	return err
}

// child is a process that was started.
type child struct {
	ctx   context.Context
	cmd   *exec.Cmd
	in    io.WriteCloser
	to    *json.Encoder
	lines *json.Decoder
	addr  string // of a node
}

func startChild(ctx context.Context, self []string, o order) (*child, error) {
	c := &child{ctx: ctx, cmd: exec.CommandContext(ctx, self[0], self[1:]...)}
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.to, c.lines = json.NewEncoder(c.in), json.NewDecoder(bufio.NewReader(out))
	return c, c.to.Encode(o)
}

func (c *child) send(q question) error { return c.to.Encode(q) }

// next returns what the child writes next.
func (c *child) next() (r report, err error) {
	if err := c.lines.Decode(&r); err != nil {
		return r, fmt.Errorf("history: a child has ended: %w", err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("history: a child: %s", r.Error)
	}
	return r, nil
}

// end has the child end, and waits for it.
func (c *child) end() error {
	_ = c.in.Close()
	return c.cmd.Wait()
}
