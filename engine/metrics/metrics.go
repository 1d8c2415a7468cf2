// Package metrics exports what an engine.Server counts to Prometheus.
//
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(metrics.New(server))
//	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
//
// A program with several servers tells them apart by a label of its own:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"server": "chat"}, registry).MustRegister(metrics.New(chat))
//
// The number of series depends on the number of loops alone: no label has a value that a
// client chose. What a server counts by loop has the label loop, from 0 on; sum it for the
// server. A scrape reads the counters as Server.Stats does, and waits for no loop.
package metrics

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fanloop-go/fanloop/engine"
)

// New returns a collector of what server counts. The server may be started later.
func New(server *engine.Server) prometheus.Collector { return &collector{server} }

// collector implements prometheus.Collector. It is immutable.
type collector struct{ server *engine.Server }

// snapshot is what one scrape reads.
type snapshot struct {
	stats  engine.Stats
	memory engine.Memory
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range loops {
		out <- m.desc
	}
	for _, m := range server {
		out <- m.desc
	}
	for _, d := range []*prometheus.Desc{ended, refused, memory} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	collect(&snapshot{c.server.Stats(), c.server.Memory()}, out)
}

func collect(s *snapshot, out chan<- prometheus.Metric) {
	for i := range s.stats.Loops {
		for _, m := range loops {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(&s.stats.Loops[i]), strconv.Itoa(i))
		}
	}
	for _, m := range server {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(&s.stats))
	}
	for cause, n := range s.stats.Ended {
		label := strings.ReplaceAll(cause.String(), " ", "_")
		out <- prometheus.MustNewConstMetric(ended, prometheus.CounterValue, float64(n), label)
	}
	for status, n := range s.stats.Refused {
		label := "reset"
		if status != 0 {
			label = strconv.Itoa(status)
		}
		out <- prometheus.MustNewConstMetric(refused, prometheus.CounterValue, float64(n), label)
	}
	for _, class := range classes(&s.memory) {
		out <- prometheus.MustNewConstMetric(memory, prometheus.GaugeValue, float64(class.bytes), class.name)
	}
}

// class is one of engine.Memory.
type class struct {
	name  string
	bytes int
}

func classes(m *engine.Memory) []class {
	return []class{
		{"outboxes", m.Outboxes}, {"shared_frames", m.SharedFrames}, {"messages", m.Messages}, {"assembly", m.Assembly},
		{"handshakes", m.Handshakes}, {"connections", m.Connections}, {"topics", m.Topics}, {"tls", m.TLS},
		{"compression", m.Compression},
	}
}
