package report

import (
	"fmt"
	"slices"
	"strings"
)

// Spread is what the rounds of one figure come to.
type Spread struct{ Median, Min, Max float64 }

// spread summarizes at least one value.
func spread(values []float64) Spread {
	return Spread{median(values), slices.Min(values), slices.Max(values)}
}

// median of at least one value; of an even number, the mean of the middle two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// Summary is one server in one scenario, beside the others.
type Summary struct {
	Server  string
	Failed  string
	Figures map[string]Spread
	Ratios  []Ratio // to the servers that all are compared with, in the order of the columns
	Note    string  // what to mind when reading it

	closed bool // a closed loop
}

// Ratio is the median of the per-round ratios of the headline to that of another
// server, with its interval.
type Ratio struct {
	To string `json:"to"` // Best: the best peer
	Interval
}

// Best is the name of the best peer in ratios.
const Best = "best peer"

// ratioTo is the ratio to a server; false if there is none.
func (s Summary) ratioTo(server string) (Ratio, bool) {
	i := slices.IndexFunc(s.Ratios, func(r Ratio) bool { return r.To == server })
	if i < 0 {
		return Ratio{}, false
	}
	return s.Ratios[i], true
}

// headline is the metric by which servers of a kind of scenario are compared.
func headline(kind string) string {
	switch kind {
	case "idle":
		return "rss_conn"
	case "slow":
		return "p99_ns"
	case "storm":
		return "back_s"
	case "soak":
		return "slope"
	}
	return CPU
}

// Headline is the metric by which the servers of one scenario are compared. Where the
// CPU time of one of them is not known, it is the wall-clock time of a message.
func Headline(results []Result) string {
	if len(results) == 0 {
		return CPU
	}
	key := headline(results[0].Kind)
	blind := func(r Result) bool { return len(r.Figures(Wall)) > 0 && len(r.Figures(CPU)) == 0 }
	if key == CPU && slices.ContainsFunc(results, blind) {
		return Wall
	}
	return key
}

// Summarize compares the servers of one scenario with one another, and with bases in
// particular.
func Summarize(results []Result, bases []string) []Summary {
	var all []Summary
	key := Headline(results)
	rivals := rivalsOf(results, bases, key)
	for _, r := range results {
		s := Summary{Server: r.Server, Failed: r.Failed, Figures: make(map[string]Spread)}
		for _, m := range Metrics {
			if values := r.Figures(m.Key); len(values) > 0 {
				s.Figures[m.Key] = spread(values)
			}
		}
		s.closed = len(r.Figures(Closed)) > 0
		for _, rival := range rivals {
			if values := ratios(r.Figures(key), rival.Figures(key)); len(values) > 0 {
				s.Ratios = append(s.Ratios, Ratio{rival.name, intervalOf(values)})
			}
		}
		s.Note = strings.Join(s.notes(r, rivals), "; ")
		all = append(all, s)
	}
	return all
}

// rival is a server that others are compared with.
type rival struct {
	name string
	Result
}

// rivalsOf are those that the servers of one scenario are compared with: bases,
// fanloop without what the scenario needs, and the best peer.
func rivalsOf(results []Result, bases []string, key string) (all []rival) {
	for _, name := range append(slices.Clone(bases), Plain) {
		if i := indexOf(results, name); i >= 0 {
			all = append(all, rival{name, results[i]})
		}
	}
	if best := bestPeer(results, bases, key); best >= 0 {
		all = append(all, rival{Best, results[best]})
	}
	return all
}

// indexOf is where the results of a server are; -1: it has none.
func indexOf(results []Result, server string) int {
	return slices.IndexFunc(results, func(r Result) bool { return r.Server == server && r.Failed == "" })
}

// bestPeer is the index of the peer with the least of the headline; -1: none. A base
// is compared with anyway.
func bestPeer(results []Result, bases []string, key string) int {
	best, least := -1, 0.0
	for i, r := range results {
		values := r.Figures(key)
		if r.Server == Floor || r.Server == Ours || r.Server == Plain || slices.Contains(bases, r.Server) || r.Failed != "" || len(values) == 0 {
			continue
		}
		if m := median(values); best < 0 || m < least {
			best, least = i, m
		}
	}
	return best
}

// ratios are the per-round ratios; nil if there are none to be had.
func ratios(values, base []float64) []float64 {
	if len(values) == 0 || len(values) != len(base) {
		return nil
	}
	all := make([]float64, len(values))
	for i, v := range values {
		if base[i] <= 0 || v <= 0 {
			return nil
		}
		all[i] = v / base[i]
	}
	return all
}

const (
	// busy is the share of a CPU above which the wall-clock rate says more about
	// that side than about the other.
	busy = 0.95
	// idleShare is the share below which, on both sides, a closed loop was held up
	// by something else: other work on the machine, or too little under way.
	idleShare = 0.8
	// restless is the share of a CPU above which a server that is not on turn may
	// disturb the one that is.
	restless = 0.01
	// worthANote is how far beyond the interval the ratio of all slices together may
	// lie before it is said.
	worthANote = 0.02
)

// notes are what to mind when reading s, the summary of r.
func (s Summary) notes(r Result, rivals []rival) (all []string) {
	if r.Missing != "" {
		return []string{"not available: " + r.Missing}
	}
	if len(r.Without) > 0 {
		all = append(all, "without "+strings.Join(r.Without, " and "))
	}
	if note := s.bottleneck(); note != "" {
		all = append(all, note)
	}
	if len(rivals) > 0 && len(s.Ratios) > 0 {
		all = append(all, s.burden(rivals[0])...)
	}
	if off := s.Figures[OffTurn].Median; off > restless {
		all = append(all, fmt.Sprintf("used %.0f %% of a CPU while others were on turn", 100*off))
	}
	return all
}

// bottleneck says what held s up besides the server.
func (s Summary) bottleneck() string {
	client, ok := s.Figures["client_cpu"]
	server, measured := s.Figures["server_cpu"]
	switch {
	case !ok || !measured:
		return ""
	case client.Median > busy && client.Median > server.Median:
		return "client bound: compare CPU per message"
	case s.closed && max(client.Median, server.Median) < idleShare:
		return "neither side busy: other work on the machine?"
	}
	return ""
}

// burden says what all slices together come to, if that is well beyond the interval: some slices cost much more than the others, as those in which
// a server collects garbage.
func (s Summary) burden(base rival) []string {
	to := s.Ratios[0]
	all := ratios(oneOf(s.Figures, TotalCPU), base.Figures(TotalCPU))
	if to.To != base.name || !to.known() || len(all) == 0 || all[0] >= to.Low*(1-worthANote) && all[0] <= to.High*(1+worthANote) {
		return nil
	}
	return []string{fmt.Sprintf("%.3fx to %s in all slices together", all[0], base.name)}
}

// oneOf is the median of a figure, if there is one.
func oneOf(figures map[string]Spread, key string) []float64 {
	if f, ok := figures[key]; ok {
		return []float64{f.Median}
	}
	return nil
}
