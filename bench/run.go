package bench

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Config says what to measure. The zero value of a field means its default.
type Config struct {
	Scenarios []Scenario
	Servers   []Server      // measured in this order, after the floor
	Rounds    int           // default 5
	Window    time.Duration // measured time of one round; default 2 s
	WarmUp    time.Duration // not measured, before each window; default 300 ms
	Settle    time.Duration // before memory is read; default 1 s
	Patience  time.Duration // for a server to listen; default 10 s
	ServerCPU string        // for taskset -c; default "0"
	ClientCPU string        // for taskset -c; default "1"
	Progress  io.Writer     // one line per round; default none
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Window, 2 * time.Second}, {&c.WarmUp, 300 * time.Millisecond},
		{&c.Settle, time.Second}, {&c.Patience, 10 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Rounds == 0 {
		c.Rounds = 5
	}
	if c.ServerCPU == "" {
		c.ServerCPU = "0"
	}
	if c.ClientCPU == "" {
		c.ClientCPU = "1"
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return c
}

// Run measures every server in every scenario, the floor first. The first server that
// cannot be started, dies or answers wrongly ends the run with an error that names it.
// Cancel ctx to end early; no process outlives Run.
func Run(ctx context.Context, programs Programs, config Config) ([]Result, error) {
	if err := prepare(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	r := runner{Config: config, client: client{path: programs.Load, cpu: config.ClientCPU, grace: defaultGrace}}
	r.Servers = append([]Server{{Name: FloorName, Command: []string{programs.Floor, "{port}"}}}, r.Servers...)
	var results []Result
	for _, s := range r.Scenarios {
		work := r.windows
		if s.Mode == Idle {
			work = r.memory
		}
		measured, err := work(ctx, s)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		results = append(results, measured...)
	}
	return results, nil
}

type runner struct {
	Config
	client client
}

func (r *runner) results(s Scenario) []Result {
	all := make([]Result, len(r.Servers))
	for i := range all {
		all[i] = Result{Scenario: s.Name, Mode: s.Mode, Server: r.Servers[i].Name}
	}
	return all
}

// windows keeps all servers of a scenario running and works on them in turn.
func (r *runner) windows(ctx context.Context, s Scenario) ([]Result, error) {
	results := r.results(s)
	processes := make([]*process, len(r.Servers))
	for i, server := range r.Servers {
		p, err := server.start(ctx, r.ServerCPU, r.Patience)
		if err != nil {
			return nil, err
		}
		defer p.stop()
		processes[i] = p
	}
	for round := range r.Rounds {
		for i, p := range processes {
			w, err := r.client.measure(ctx, s, p, r.WarmUp, r.Window)
			if err != nil {
				return nil, p.blame(r.Servers[i].Name, err)
			}
			results[i].Windows = append(results[i].Windows, w)
			fmt.Fprintf(r.Progress, "%s %d/%d %s: %.2f µs\n", s.Name, round+1, r.Rounds, r.Servers[i].Name, w.MicrosPerMessage())
		}
	}
	return results, nil
}

// memory starts every server anew for each round: memory once used stays used.
func (r *runner) memory(ctx context.Context, s Scenario) ([]Result, error) {
	results := r.results(s)
	for round := range r.Rounds {
		for i, server := range r.Servers {
			m, err := r.idle(ctx, s, server)
			if err != nil {
				return nil, err
			}
			results[i].Memory = append(results[i].Memory, m)
			fmt.Fprintf(r.Progress, "%s %d/%d %s: %.0f B\n", s.Name, round+1, r.Rounds, server.Name, m.PerConn())
		}
	}
	return results, nil
}

func (r *runner) idle(ctx context.Context, s Scenario, server Server) (Memory, error) {
	p, err := server.start(ctx, r.ServerCPU, r.Patience)
	if err != nil {
		return Memory{}, err
	}
	defer p.stop()
	m := Memory{Conns: s.Conns}
	// A few connections first: what a server sets up once belongs to no connection.
	first := s
	first.Conns = min(s.Conns, 64)
	err = r.client.hold(ctx, first, p, func() error { return nil })
	if err == nil {
		m.Before, err = r.leastBytes(ctx, server, p)
	}
	if err == nil {
		err = r.client.hold(ctx, s, p, func() (err error) {
			if m.Settled, err = settledBytes(ctx, p.pid, r.Settle); err == nil && server.GivesBack {
				m.GivenBack, err = giveBack(ctx, p.pid, r.Settle)
			}
			return err
		})
	}
	if err != nil {
		return Memory{}, p.blame(server.Name, err)
	}
	return m, nil
}

func (r *runner) leastBytes(ctx context.Context, server Server, p *process) (uint64, error) {
	if server.GivesBack {
		return giveBack(ctx, p.pid, r.Settle)
	}
	return settledBytes(ctx, p.pid, r.Settle)
}

// blame names the server, and says so if the reason is that it died.
func (p *process) blame(name string, err error) error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s: %w; %w", name, err, p.ended())
	default:
		return fmt.Errorf("%s: %w", name, err)
	}
}
