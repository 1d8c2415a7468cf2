package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
)

// Config says what to measure, and where.
type Config struct {
	Specs     []Spec
	Servers   []Server // in this order
	ServerCPU CPUs     // see DefaultCPUs
	ClientCPU CPUs
	// Generator is the program, with its arguments, that runs load.Serve over its
	// stdin and stdout.
	Generator []string
	// Progress is told what is under way; it may be nil.
	Progress func(Progress)
	// KeepGoing notes a server that fails in its results and goes on with the
	// others. Otherwise the first failure ends the run.
	KeepGoing bool
}

// Progress is a round or a slice under way.
type Progress struct {
	Scenario, Server string
	Round, Rounds    int     // Round counts from 1; Rounds is 0 where time decides
	Part             float64 // of the whole run that is over, 0 to 1
	Tick             load.Tick
	Done             bool         // the round is over
	Figures          report.Round // valid if Done
}

// Run measures every server in every scenario. It ends early with ctx; no
// process outlives it. What was measured before an error is returned with it.
func Run(ctx context.Context, cfg Config) ([]report.Result, error) {
	r := runner{Config: cfg}
	if r.Progress == nil {
		r.Progress = func(Progress) {}
	}
	for i, s := range r.Specs {
		if err := s.Check(); err != nil {
			return nil, err
		}
		r.Specs[i] = s.withDefaults()
		if err := r.checkTargets(r.Specs[i]); err != nil {
			return nil, err
		}
		if s, most := r.Specs[i], load.MaxConns(); s.Conns > most && r.local() {
			return nil, fmt.Errorf("%s: the server needs a descriptor for each of %d connections and may open %d here: use fewer connections, or raise the limit (ulimit -n)", s.Name, s.Conns, most)
		}
	}
	var results []report.Result
	for i, s := range r.Specs {
		r.at = i
		measure := r.rounds
		if s.Sliced() {
			measure = r.slices
		}
		measured, err := measure(ctx, s)
		results = append(results, measured...)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

type runner struct {
	Config
	at int // the scenario under way
}

// report tells Progress, part being what of the scenario is over.
func (r *runner) report(p Progress, part float64) {
	p.Part = (float64(r.at) + part) / float64(len(r.Specs))
	r.Progress(p)
}

// local says whether a server is started here.
func (r *runner) local() bool {
	for _, s := range r.Servers {
		if s.Target == "" {
			return true
		}
	}
	return false
}

// checkTargets says whether a server that runs already speaks ws where s needs
// wss, or the other way around.
func (r *runner) checkTargets(s Spec) error {
	for _, server := range r.Servers {
		if server.Target != "" && strings.HasPrefix(server.Target, "wss:") != s.TLS {
			return usagef("%s and the target %s: TLS is for both (wss) or for none (ws)", s.Name, server.Target)
		}
	}
	return nil
}

// lineup is who is measured in s. Where s needs TLS or compression, fanloop is
// measured without it too, in the same rounds: the ratio is what it costs.
func (r *runner) lineup(s Spec) (all []Server) {
	for _, server := range r.Servers {
		all = append(all, server)
		if server.Name == report.Ours && len(s.needs()) > 0 {
			server.Name, server.Plain = report.Plain, true
			all = append(all, server)
		}
	}
	return all
}

// round measures one server once.
type round struct {
	*runner
	spec     Spec
	server   Server
	process  *process
	progress func(load.Tick)
	figures  report.Round
	latency  *load.Latency
}

// entries are the results of s before anything is measured.
func entries(s Spec, servers []Server) []report.Result {
	results := make([]report.Result, len(servers))
	for i, server := range servers {
		results[i] = report.Result{Scenario: s.Name, Kind: string(s.Kind), Server: server.Name}
		if server.Plain {
			results[i].Without = s.needs()
		}
		if need := server.lacks(s); need != "" {
			results[i].Missing = "it has no " + need
		}
	}
	return results
}

// rounds runs one scenario, its rounds interleaved: A B C A B C.
func (r *runner) rounds(ctx context.Context, s Spec) ([]report.Result, error) {
	servers := r.lineup(s)
	results := entries(s, servers)
	running := make([]*process, len(servers))
	defer func() {
		for _, p := range running {
			if p != nil {
				p.stop()
			}
		}
	}()
	for n := range s.Rounds {
		for i, server := range servers {
			if results[i].Failed != "" || results[i].Missing != "" {
				continue
			}
			part := float64(n*len(servers)+i) / float64(s.Rounds*len(servers))
			figures, err := r.once(ctx, s, n+1, part, server, &running[i], &results[i].Latency)
			if err == nil {
				results[i].Rounds = append(results[i].Rounds, figures)
				continue
			}
			if !r.KeepGoing || ctx.Err() != nil {
				return results, fmt.Errorf("%s: %w", s.Name, err)
			}
			results[i].Failed = err.Error()
		}
	}
	return results, nil
}

// once starts the server where needed and measures one round. Kinds that look
// at memory get a fresh server each round: memory once used stays used.
func (r *runner) once(ctx context.Context, s Spec, n int, part float64, server Server, running **process, latency *load.Latency) (report.Round, error) {
	if server.Plain {
		s = s.plain()
	}
	if *running == nil {
		p, err := server.start(ctx, s, r.ServerCPU)
		if err != nil {
			return nil, err
		}
		*running = p
	}
	p := *running
	state := Progress{Scenario: s.Name, Server: server.Name, Round: n, Rounds: s.Rounds}
	r.report(state, part)
	one := round{runner: r, spec: s, server: server, process: p, figures: make(report.Round), latency: latency,
		progress: func(t load.Tick) {
			state.Tick = t
			r.report(state, part)
		}}
	work := map[Kind]func(context.Context) error{
		Echo: one.messages, Fanout: one.messages,
		Idle: one.idle, Slow: one.slow, Storm: one.storm, Soak: one.soak,
	}[s.Kind]
	err := work(ctx)
	if err != nil {
		err = p.blame(server.Name, err)
	}
	if s.Kind == Idle || s.Kind == Slow || s.Kind == Soak {
		p.stop()
		*running = nil
	}
	if err != nil {
		return nil, err
	}
	state.Done, state.Figures = true, one.figures
	r.report(state, part)
	return one.figures, nil
}

// withClients runs fn with generators for s.
func (o *round) withClients(ctx context.Context, s Spec, fn func(*clients) error) error {
	cs, err := o.startClients(ctx, s, o.process)
	if err != nil {
		return err
	}
	defer cs.close()
	err = fn(cs)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// messages is a round of Echo or Fanout in an open loop.
func (o *round) messages(ctx context.Context) error {
	return o.withClients(ctx, o.spec, func(cs *clients) error {
		if _, err := cs.open(); err != nil {
			return err
		}
		w, faults, err := cs.measure(o.spec.WarmUp, o.spec.Window, o.progress)
		if err != nil {
			return err
		}
		o.window(w)
		return faults.Err()
	})
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
