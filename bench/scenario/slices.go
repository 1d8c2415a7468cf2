package scenario

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
)

// pair is a server that runs and its clients, who are connected to it.
type pair struct {
	name    string
	process *process
	clients *clients
}

// work implements contender.
func (p *pair) work(d time.Duration) (load.Window, error) {
	w, err := p.clients.work(d)
	if err != nil {
		err = p.process.blame(p.name, err)
	}
	return w, err
}

// cpu implements contender.
func (p *pair) cpu() (used time.Duration, ok bool, err error) {
	if !p.process.hasCPU() {
		return 0, false, nil
	}
	used, err = load.ProcessCPU(p.process.pid)
	if err != nil {
		err = p.process.blame(p.name, err)
	}
	return used, true, err
}

func (p *pair) close() {
	if p.clients != nil {
		p.clients.close()
	}
	p.process.stop()
}

// connect starts a server and its clients, and opens their connections.
func (r *runner) connect(ctx context.Context, s Spec, server Server) (*pair, error) {
	if server.Plain {
		s = s.plain()
	}
	process, err := server.start(ctx, s, r.ServerCPU)
	if err != nil {
		return nil, err
	}
	p := &pair{name: server.Name, process: process}
	p.clients, err = r.startClients(ctx, s, process)
	if err == nil && s.Kind != Connect {
		err = p.clients.openIfNot()
	}
	if err != nil {
		err = process.blame(server.Name, err)
		p.close()
		return nil, err
	}
	return p, nil
}

// contest is one scenario in slices.
type contest struct {
	*runner
	spec     Spec
	results  []report.Result
	rotation rotation
	pairs    []*pair // those of the rotation's entrants
	places   []int   // theirs in results
}

// slices runs one scenario with all its servers up and connected at once, taking
// turns.
func (r *runner) slices(ctx context.Context, s Spec) ([]report.Result, error) {
	servers := r.lineup(s)
	c := contest{runner: r, spec: s, results: entries(s, servers)}
	c.rotation = rotation{spec: s, turn: c.turn, failed: func(i int, err error) error {
		c.pairs[i].close() // or it might go on at the cost of the others
		return c.fail(ctx, c.places[i], err)
	}}
	defer func() {
		for _, p := range c.pairs {
			p.close()
		}
	}()
	for i, server := range servers {
		if err := c.enter(ctx, i, server); err != nil {
			return c.results, err
		}
	}
	err := c.rotation.run(ctx)
	all := c.rotation.lasted()
	for i, e := range c.rotation.entrants {
		e.sum(s, &c.results[c.places[i]], all)
	}
	return c.results, err
}

// enter has a server take part, unless it cannot do what is needed.
func (c *contest) enter(ctx context.Context, place int, server Server) error {
	if c.results[place].Missing != "" {
		return nil
	}
	c.report(Progress{Scenario: c.spec.Name, Server: server.Name}, 0)
	p, err := c.connect(ctx, c.spec, server)
	if err != nil {
		return c.fail(ctx, place, err)
	}
	c.pairs, c.places = append(c.pairs, p), append(c.places, place)
	c.rotation.entrants = append(c.rotation.entrants, &entrant{contender: p})
	return nil
}

// fail notes that the server at a place failed, or ends the run.
func (c *contest) fail(ctx context.Context, place int, err error) error {
	if !c.KeepGoing || ctx.Err() != nil {
		return fmt.Errorf("%s: %w", c.spec.Name, err)
	}
	c.results[place].Failed = err.Error()
	return nil
}

// turn reports whose turn it is.
func (c *contest) turn(i, round int) {
	server := c.results[c.places[i]].Server
	c.report(Progress{Scenario: c.spec.Name, Server: server, Round: round + 1, Rounds: c.spec.Rounds}, c.rotation.done(round))
}

// sum turns what was seen of e in a time into a result.
func (e *entrant) sum(s Spec, result *report.Result, all time.Duration) {
	if e.out || len(e.rounds) == 0 {
		return
	}
	_, hasCPU, _ := e.cpu() // the same as ever
	for _, w := range e.rounds {
		result.Rounds = append(result.Rounds, s.costs(w, hasCPU))
	}
	result.Latency = e.total.Latency
	result.Whole = s.shape(e.total)
	if !hasCPU {
		return
	}
	result.Whole[report.TotalCPU] = significant(e.total.ServerMicros / max(float64(e.total.Messages), 1))
	if off, err := e.offTurn(all); err == nil {
		result.Whole[report.OffTurn] = significant(off)
	}
}

// significant keeps six digits of v, which is more than anything here is good for.
func significant(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}
