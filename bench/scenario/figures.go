package scenario

import (
	"maps"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
)

// costs are the figures of w that say what messages cost: those that are compared
// round by round.
func (s Spec) costs(w load.Window, hasCPU bool) report.Round {
	n := max(float64(w.Messages), 1)
	f := report.Round{
		"rate":       w.Rate(),
		report.Wall:  w.Seconds * 1e6 / n,
		"client_us":  w.ClientMicros / n,
		"client_cpu": w.ClientShare() / float64(s.Processes),
	}
	if hasCPU {
		f[report.CPU] = w.ServerMicros / n
		f["server_cpu"] = w.ServerShare()
	}
	if s.Rate == 0 {
		f[report.Closed] = 1
	}
	for key, v := range f {
		f[key] = significant(v)
	}
	return f
}

// shape are the figures of w that need many messages: latencies, which a slice has
// too few of, and what does not change.
func (s Spec) shape(w load.Window) report.Round {
	f := percentiles(w.Latency)
	f["allocs"] = significant(float64(w.Allocs) / max(float64(w.Messages), 1))
	if s.Payload == load.JSON {
		f["wire_msg"] = significant(float64(w.Wire) / max(float64(w.Messages), 1))
	}
	if w.Last.Count() > 0 {
		f["last_p50_ns"] = float64(w.Last.At(0.5))
		f["last_p99_ns"] = float64(w.Last.At(0.99))
	}
	return f
}

func percentiles(l load.Latency) report.Round {
	f := report.Round{"max_ns": float64(l.Max())}
	for key, q := range map[string]float64{"p50_ns": 0.5, "p90_ns": 0.9, "p99_ns": 0.99, "p999_ns": 0.999} {
		f[key] = float64(l.At(q))
	}
	return f
}

// window turns what the clients saw in a round into its figures.
func (o *round) window(w load.Window) {
	maps.Copy(o.figures, o.spec.costs(w, o.process.hasCPU()))
	maps.Copy(o.figures, o.spec.shape(w))
	o.latency.Add(w.Latency)
}

// percentiles adds those of l to the figures of the round.
func (o *round) percentiles(l load.Latency) {
	maps.Copy(o.figures, percentiles(l))
	o.latency.Add(l)
}
