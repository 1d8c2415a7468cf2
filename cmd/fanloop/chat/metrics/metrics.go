// Package metrics exports what a node of the chat counts to Prometheus.
//
// No label has a value that a client chose: the number of series does not depend on
// users, topics or requests.
package metrics

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/timing"
	"github.com/fanloop-go/fanloop/engine/metrics"
)

// lagWithin is how long a scrape waits for the loops.
const lagWithin = time.Second

// Node is what is exported; a *service.Service is one.
type Node interface {
	Stats() service.Stats
	Lag(context.Context) []time.Duration
	Ready() error
}

var _ Node = (*service.Service)(nil)

// New returns a collector of what a node counts.
func New(node Node) prometheus.Collector { return &collector{node} }

// Registry has all metrics of a node: its own, those of the engine, of the Go runtime
// and of the process.
func Registry(s *service.Service) *prometheus.Registry {
	all := prometheus.NewRegistry()
	all.MustRegister(New(s), metrics.New(s.Engine()), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return all
}

// collector implements prometheus.Collector. It is immutable.
type collector struct{ node Node }

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range table {
		out <- m.desc
	}
	for _, d := range labelled {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	st := c.node.Stats()
	for _, m := range table {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(&st))
	}
	out <- value(ready, prometheus.GaugeValue, truth(c.node.Ready() == nil))
	for code, n := range st.Errors {
		out <- value(failures, prometheus.CounterValue, float64(n), string(code))
	}
	for code, n := range st.Closings {
		out <- value(closings, prometheus.CounterValue, float64(n), string(code))
	}
	for reason, n := range st.Tokens {
		out <- value(tokens, prometheus.CounterValue, float64(n), string(reason))
	}
	out <- histogram(stored, &st.Stored)
	out <- histogram(read, &st.Read)
	for i := range st.Hooks {
		collectHook(out, &st.Hooks[i])
	}
	ctx, cancel := context.WithTimeout(context.Background(), lagWithin)
	defer cancel()
	for i, lag := range c.node.Lag(ctx) {
		out <- value(loopLag, prometheus.GaugeValue, lag.Seconds(), strconv.Itoa(i))
	}
}

func collectHook(out chan<- prometheus.Metric, h *hooks.Stats) {
	kind := string(h.Kind)
	for outcome, n := range h.Outcomes {
		out <- value(hookQuestions, prometheus.CounterValue, float64(n), kind, string(outcome))
	}
	out <- histogram(hookSeconds, &h.Took, kind)
	out <- value(hookShared, prometheus.CounterValue, float64(h.Shared), kind)
	out <- value(hookPending, prometheus.GaugeValue, float64(h.Pending), kind)
	out <- value(hookOpen, prometheus.GaugeValue, truth(h.State != hooks.Closed), kind)
}

func value(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, kind, v, labels...)
}

func histogram(d *prometheus.Desc, t *timing.Timing, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(t.Buckets))
	for i, n := range t.Buckets {
		buckets[timing.Bounds[i]] = n
	}
	return prometheus.MustNewConstHistogram(d, t.Count, t.Sum.Seconds(), buckets, labels...)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
