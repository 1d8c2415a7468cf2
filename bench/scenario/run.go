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

// Progress is a round under way.
type Progress struct {
	Scenario, Server string
	Round, Rounds    int // Round counts from 1
	Step, Steps      int // rounds of all servers in all scenarios
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
		r.steps += r.Specs[i].Rounds * len(r.lineup(r.Specs[i]))
		if s, most := r.Specs[i], load.MaxConns(); s.Conns > most && r.local() {
			return nil, fmt.Errorf("%s: the server needs a descriptor for each of %d connections and may open %d here: use fewer connections, or raise the limit (ulimit -n)", s.Name, s.Conns, most)
		}
	}
	var results []report.Result
	for _, s := range r.Specs {
		measured, err := r.scenario(ctx, s)
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
	step, steps int
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

// scenario runs one scenario, its rounds interleaved: A B C A B C.
func (r *runner) scenario(ctx context.Context, s Spec) ([]report.Result, error) {
	servers := r.lineup(s)
	results := make([]report.Result, len(servers))
	running := make([]*process, len(servers))
	defer func() {
		for _, p := range running {
			if p != nil {
				p.stop()
			}
		}
	}()
	for i, server := range servers {
		results[i] = report.Result{Scenario: s.Name, Kind: string(s.Kind), Server: server.Name}
		if server.Plain {
			results[i].Without = s.needs()
		}
		if need := server.lacks(s); need != "" {
			results[i].Missing = "it has no " + need
		}
	}
	for n := range s.Rounds {
		for i, server := range servers {
			r.step++
			if results[i].Failed != "" || results[i].Missing != "" {
				continue
			}
			figures, err := r.once(ctx, s, n+1, server, &running[i], &results[i].Latency)
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
func (r *runner) once(ctx context.Context, s Spec, n int, server Server, running **process, latency *load.Latency) (report.Round, error) {
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
	state := Progress{Scenario: s.Name, Server: server.Name, Round: n, Rounds: s.Rounds, Step: r.step, Steps: r.steps}
	r.Progress(state)
	one := round{runner: r, spec: s, server: server, process: p, figures: make(report.Round), latency: latency,
		progress: func(t load.Tick) {
			state.Tick = t
			r.Progress(state)
		}}
	work := map[Kind]func(context.Context) error{
		Echo: one.messages, Fanout: one.messages, Connect: one.handshakes,
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
	r.Progress(state)
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

// messages is a round of Echo or Fanout.
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

// handshakes is a round of Connect.
func (o *round) handshakes(ctx context.Context) error {
	return o.withClients(ctx, o.spec, func(cs *clients) error {
		w, _, err := cs.measure(o.spec.WarmUp, o.spec.Window, o.progress)
		if err != nil {
			return err
		}
		o.window(w)
		return nil
	})
}

// window turns what the clients saw into figures.
func (o *round) window(w load.Window) {
	f, n := o.figures, max(float64(w.Messages), 1)
	f["rate"] = w.Rate()
	f["client_us"] = w.ClientMicros / n
	f["client_cpu"] = w.ClientShare() / float64(o.spec.Processes)
	f["allocs"] = float64(w.Allocs) / n
	if o.spec.Payload == load.JSON {
		f["wire_msg"] = float64(w.Wire) / n
	}
	if o.process.pid != 0 {
		f[report.CPU] = w.ServerMicros / n
		f["server_cpu"] = w.ServerShare()
	}
	if o.spec.Rate == 0 {
		f[report.Closed] = 1
	}
	o.percentiles(w.Latency)
	if w.Last.Count() > 0 {
		f["last_p50_ns"] = float64(w.Last.At(0.5))
		f["last_p99_ns"] = float64(w.Last.At(0.99))
	}
}

func (o *round) percentiles(l load.Latency) {
	for key, q := range map[string]float64{"p50_ns": 0.5, "p90_ns": 0.9, "p99_ns": 0.99, "p999_ns": 0.999} {
		o.figures[key] = float64(l.At(q))
	}
	o.figures["max_ns"] = float64(l.Max())
	o.latency.Add(l)
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
