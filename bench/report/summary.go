package report

import (
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
	ToFloor float64 // median of the per-round ratios of the headline to the floor's; 0: none
	ToPlain float64 // the same to fanloop without TLS and compression, if those are measured
	ToPeer  float64 // the same to the best peer, which is neither floor nor fanloop
	Note    string  // what to mind when reading it

	closed bool // a closed loop
}

// Headline is the metric by which servers of a kind of scenario are compared.
func Headline(kind string) string {
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

// Summarize compares the servers of one scenario.
func Summarize(results []Result) []Summary {
	var all []Summary
	floor, plain := indexOf(results, Floor), indexOf(results, Plain)
	best := bestPeer(results)
	for _, r := range results {
		s := Summary{Server: r.Server, Failed: r.Failed, Figures: make(map[string]Spread)}
		for _, m := range Metrics {
			if values := r.Figures(m.Key); len(values) > 0 {
				s.Figures[m.Key] = spread(values)
			}
		}
		s.closed = len(r.Figures(Closed)) > 0
		key := Headline(r.Kind)
		if floor >= 0 {
			s.ToFloor = ratio(r.Figures(key), results[floor].Figures(key))
		}
		if plain >= 0 {
			s.ToPlain = ratio(r.Figures(key), results[plain].Figures(key))
		}
		if best >= 0 {
			s.ToPeer = ratio(r.Figures(key), results[best].Figures(key))
		}
		s.Note = s.note()
		switch {
		case r.Missing != "":
			s.Note = "not available: " + r.Missing
		case len(r.Without) > 0:
			s.Note = strings.TrimSuffix("without "+strings.Join(r.Without, " and ")+"; "+s.Note, "; ")
		}
		all = append(all, s)
	}
	return all
}

// indexOf is where the results of a server are; -1: it has none.
func indexOf(results []Result, server string) int {
	return slices.IndexFunc(results, func(r Result) bool { return r.Server == server && r.Failed == "" })
}

// bestPeer is the index of the peer with the least of the headline; -1: none.
func bestPeer(results []Result) int {
	best, least := -1, 0.0
	for i, r := range results {
		values := r.Figures(Headline(r.Kind))
		if r.Server == Floor || r.Server == Ours || r.Server == Plain || r.Failed != "" || len(values) == 0 {
			continue
		}
		if m := median(values); best < 0 || m < least {
			best, least = i, m
		}
	}
	return best
}

// ratio is the median of the per-round ratios; 0 if there is none to be had.
func ratio(values, base []float64) float64 {
	if len(values) == 0 || len(values) != len(base) {
		return 0
	}
	ratios := make([]float64, len(values))
	for i, v := range values {
		if base[i] <= 0 || v <= 0 {
			return 0
		}
		ratios[i] = v / base[i]
	}
	return median(ratios)
}

const (
	// busy is the share of a CPU above which the wall-clock rate says more about
	// that side than about the other.
	busy = 0.95
	// idleShare is the share below which, on both sides, a closed loop was held up
	// by something else: other work on the machine, or too little under way.
	idleShare = 0.8
)

func (s Summary) note() string {
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
