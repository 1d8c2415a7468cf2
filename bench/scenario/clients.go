package scenario

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
)

// clients are the generator processes of one round.
type clients struct {
	each   []*client
	isOpen bool
	stop   context.CancelFunc
}

type client struct {
	*load.Remote
	cmd   *exec.Cmd
	in    io.Closer
	said  tail
	ended sync.Once
	err   error
}

// startClients starts the generators of s, each in a process of its own.
func (r *runner) startClients(ctx context.Context, s Spec, p *process) (*clients, error) {
	ctx, cancel := context.WithCancel(ctx)
	cs := &clients{stop: cancel}
	for i := range s.Processes {
		c, err := startClient(ctx, r.Generator, r.ClientCPU)
		if err == nil {
			cs.each = append(cs.each, c)
			err = c.Start(s.config(p.target, p.pid, i))
		}
		if err != nil {
			cs.close()
			return nil, err
		}
	}
	return cs, nil
}

func startClient(ctx context.Context, args []string, cpus CPUs) (*client, error) {
	c := &client{cmd: command(ctx, args)}
	c.cmd.Stderr = &c.said
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(c.cmd, cpus); err != nil {
		return nil, fmt.Errorf("start a client process: %w", err)
	}
	c.in = in
	c.Remote = load.NewRemote(out, in, func(broken error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := c.wait(); err != nil {
			broken = err
		}
		if line := c.said.lastLine(); line != "" {
			return fmt.Errorf("a client process ended (%w): %s", broken, line)
		}
		return fmt.Errorf("a client process ended: %w", broken)
	})
	return c, nil
}

func (c *client) wait() error {
	c.ended.Do(func() {
		_ = c.in.Close() // which tells it to end
		c.err = c.cmd.Wait()
	})
	return c.err
}

// close ends the processes.
func (cs *clients) close() {
	for _, c := range cs.each {
		_ = c.in.Close()
	}
	for _, c := range cs.each {
		slow := time.AfterFunc(5*time.Second, cs.stop)
		_ = c.wait() // what it had to say was said
		slow.Stop()
	}
	cs.stop()
}

// together calls fn for every client at once and joins the errors.
func (cs *clients) together(fn func(i int, c *client) error) error {
	errs := make([]error, len(cs.each))
	var all sync.WaitGroup
	for i, c := range cs.each {
		all.Go(func() { errs[i] = fn(i, c) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err // one is enough to know
		}
	}
	return nil
}

// openIfNot opens the connections unless they are.
func (cs *clients) openIfNot() error {
	if cs.isOpen {
		return nil
	}
	_, err := cs.open()
	return err
}

func (cs *clients) open() (load.Opened, error) {
	cs.isOpen = true
	return cs.opened(func(c *client) (load.Opened, error) { return c.Open() })
}

func (cs *clients) storm() (load.Opened, error) {
	return cs.opened(func(c *client) (load.Opened, error) { return c.Storm() })
}

func (cs *clients) opened(fn func(*client) (load.Opened, error)) (load.Opened, error) {
	each := make([]load.Opened, len(cs.each))
	err := cs.together(func(i int, c *client) (err error) {
		each[i], err = fn(c)
		return err
	})
	var sum load.Opened
	for _, o := range each {
		sum.Conns += o.Conns
		sum.Retries += o.Retries
		sum.Seconds = max(sum.Seconds, o.Seconds)
		sum.Latency.Add(o.Latency)
	}
	return sum, err
}

// work has all clients work for d at once, and waits until every message is
// answered. It fails if one is not answered once, whole and in order.
func (cs *clients) work(d time.Duration) (load.Window, error) {
	published := make([][]uint32, len(cs.each))
	if err := cs.together(func(i int, c *client) (err error) {
		published[i], err = c.Work(d)
		return err
	}); err != nil {
		return load.Window{}, err
	}
	if err := cs.settle(published[0]); err != nil {
		return load.Window{}, err
	}
	each := make([]load.Window, len(cs.each))
	err := cs.together(func(i int, c *client) (err error) {
		each[i], err = c.Seen()
		return err
	})
	sum := each[0]
	for _, w := range each[1:] {
		sum.Join(w)
	}
	return sum, err
}

// settle waits until what was published, and every echo, has arrived everywhere.
func (cs *clients) settle(published []uint32) error {
	all, err := cs.faults(published)
	if err != nil {
		return err
	}
	return all.Err()
}

// faults settles and adds up the faults of all clients.
func (cs *clients) faults(published []uint32) (all load.Faults, err error) {
	faults := make([]load.Faults, len(cs.each))
	err = cs.together(func(i int, c *client) (err error) {
		faults[i], err = c.Settle(published)
		return err
	})
	for _, f := range faults {
		all.Add(f)
	}
	return all, err
}

// measure measures with all clients at once, and settles. The faults are those
// of all clients.
func (cs *clients) measure(warmUp, window time.Duration, progress func(load.Tick)) (load.Window, load.Faults, error) {
	each := make([]load.Measured, len(cs.each))
	err := cs.together(func(i int, c *client) (err error) {
		tick := progress
		if i > 0 {
			tick = nil
		}
		each[i], err = c.Measure(warmUp, window, tick)
		return err
	})
	if err != nil {
		return load.Window{}, load.Faults{}, err
	}
	sum := each[0].Window
	for _, m := range each[1:] {
		sum.Join(m.Window)
	}
	all, err := cs.faults(each[0].Published)
	return sum, all, err
}
