package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
)

// Names of the servers that others are compared with.
const (
	Floor = "floor"         // the physical limit
	Ours  = "fanloop"       // never the best peer
	Plain = "fanloop plain" // Ours without what a scenario needs besides plain WebSockets
)

// Report is a run with all that is needed to repeat it.
type Report struct {
	Time     time.Time         `json:"time"`
	Machine  Machine           `json:"machine"`
	Command  []string          `json:"command"` // as it was called
	Servers  string            `json:"server_cpus"`
	Clients  string            `json:"client_cpus"`
	Harness  Harness           `json:"harness"`
	Bases    []string          `json:"bases,omitempty"`         // servers that the others are compared with
	Versions map[string]string `json:"versions,omitempty"`      // of the peers, and of other fanloops
	Missing  map[string]string `json:"not_available,omitempty"` // servers, and why
	Results  []Result          `json:"results"`
}

// Harness is what the harness measured of itself.
type Harness struct {
	ClockNanos float64 `json:"clock_read_ns"` // to read the clock
	StepNanos  int64   `json:"clock_step_ns"` // smallest difference of two readings
	LateMicros float64 `json:"timer_late_us"` // median lateness of the open loop's timer
}

// Round is one round's figures by metric key; those of a scenario are in
// [Metrics].
type Round map[string]float64

// Result holds every round of one server in one scenario, in the order they
// ran: round i of all servers ran one right after the other, or in slices that took
// turns.
type Result struct {
	Scenario string       `json:"scenario"`
	Kind     string       `json:"kind"`
	Server   string       `json:"server"`
	Ratios   []Ratio      `json:"ratios,omitempty"` // of the headline, made when the report is written
	Rounds   []Round      `json:"rounds"`
	Whole    Round        `json:"whole,omitempty"`         // figures of all slices together
	Latency  load.Latency `json:"latency"`                 // of all rounds
	Without  []string     `json:"without,omitempty"`       // needs of the scenario that were left out, to compare with
	Missing  string       `json:"not_available,omitempty"` // why the server cannot take part
	Failed   string       `json:"failed,omitempty"`
}

// Figures are the values of one metric, round by round; those that have it. A
// figure of all slices together is one value.
func (r Result) Figures(key string) []float64 {
	if v, ok := r.Whole[key]; ok {
		return []float64{v}
	}
	var all []float64
	for _, round := range r.Rounds {
		if v, ok := round[key]; ok {
			all = append(all, v)
		}
	}
	return all
}

// Measured says that there is something to show: a round, or a server that
// failed while others went on.
func (r *Report) Measured() bool {
	return slices.ContainsFunc(r.Results, func(one Result) bool { return len(one.Rounds) > 0 || one.Failed != "" })
}

// Failure says that at least one server failed; nil if none did.
func (r *Report) Failure() error {
	for _, result := range r.Results {
		if result.Failed != "" {
			return fmt.Errorf("%s: %s: %s", result.Scenario, result.Server, result.Failed)
		}
	}
	return nil
}

// Scenarios are the names of the scenarios in the order they ran.
func (r *Report) Scenarios() []string {
	var names []string
	for i, result := range r.Results {
		if i == 0 || names[len(names)-1] != result.Scenario {
			names = append(names, result.Scenario)
		}
	}
	return names
}

// Of returns the results of one scenario.
func (r *Report) Of(scenario string) []Result {
	var all []Result
	for _, result := range r.Results {
		if result.Scenario == scenario {
			all = append(all, result)
		}
	}
	return all
}

// bases are the servers that the others are compared with; an old report has none
// written down.
func (r *Report) bases() []string {
	if len(r.Bases) == 0 {
		return []string{Floor}
	}
	return r.Bases
}

// Summaries are those of one scenario.
func (r *Report) Summaries(scenario string) []Summary { return Summarize(r.Of(scenario), r.bases()) }

// WriteJSON writes the report for machines, on one line: it holds every round.
func (r *Report) WriteJSON(w io.Writer) error {
	full := *r
	full.Results = nil
	for _, name := range r.Scenarios() {
		results := r.Of(name)
		for i, s := range r.Summaries(name) {
			results[i].Ratios = s.Ratios
		}
		full.Results = append(full.Results, results...)
	}
	return json.NewEncoder(w).Encode(full)
}

// Read reads what WriteJSON wrote.
func Read(in io.Reader) (*Report, error) {
	r := new(Report)
	if err := json.NewDecoder(in).Decode(r); err != nil {
		return nil, fmt.Errorf("this is no report of fanloop bench: %w", err)
	}
	return r, nil
}
