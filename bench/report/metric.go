package report

import (
	"fmt"
	"math"
)

// Metric is one kind of figure.
type Metric struct {
	Key   string
	Title string
	Unit  unit
	More  bool // more is better
	Chart bool // on the page
	Quiet bool // in JSON and comparisons only
	Load  bool // neither more nor less is better
}

type unit int

const (
	micros  unit = iota // microseconds
	nanos               // shown as the duration it is
	seconds             // shown as the duration it is
	count
	share // of one CPU, or of a whole
	octets
)

// Figures that others build on.
const (
	CPU      = "server_us"     // the headline: the server's CPU time per message, slice by slice
	Wall     = "wall_us"       // the headline where CPU time is not known
	TotalCPU = "server_us_all" // CPU of all slices by messages of all slices
	OffTurn  = "off_turn"      // part of a CPU that a server used while others were on turn
)

// Closed is set in rounds of a closed loop. It is no metric.
const Closed = "closed"

// Metrics are all kinds of figures in the order of the columns.
var Metrics = []Metric{
	{Key: CPU, Title: "server µs/msg", Unit: micros, Chart: true},
	{Key: TotalCPU, Title: "server µs/msg, all slices", Unit: micros, Quiet: true},
	{Key: Wall, Title: "wall µs/msg", Unit: micros, Quiet: true},
	{Key: OffTurn, Title: "CPU off turn", Unit: share, Quiet: true},
	{Key: "client_us", Title: "client µs/msg", Unit: micros},
	{Key: "rate", Title: "per second", Unit: count, More: true, Chart: true},
	{Key: "server_cpu", Title: "server CPU", Unit: share, Load: true},
	{Key: "client_cpu", Title: "client CPU", Unit: share, Load: true},
	{Key: "p50_ns", Title: "p50", Unit: nanos},
	{Key: "p90_ns", Title: "p90", Unit: nanos},
	{Key: "p99_ns", Title: "p99", Unit: nanos, Chart: true},
	{Key: "p999_ns", Title: "p99.9", Unit: nanos},
	{Key: "max_ns", Title: "max", Unit: nanos},
	{Key: "last_p50_ns", Title: "last p50", Unit: nanos},
	{Key: "last_p99_ns", Title: "last p99", Unit: nanos},
	{Key: "wire_msg", Title: "wire/msg", Unit: octets},
	{Key: "allocs", Title: "client allocs/msg", Unit: count, Quiet: true},
	{Key: "rss_conn", Title: "RSS/conn", Unit: octets, Chart: true},
	{Key: "rss_more", Title: "one more", Unit: octets},
	{Key: "rss_conn_given", Title: "after SIGUSR1", Unit: octets},
	{Key: "heap_conn", Title: "heap/conn", Unit: octets},
	{Key: "ledger_conn", Title: "ledger/conn", Unit: octets},
	{Key: "kernel_conn", Title: "kernel/conn", Unit: octets},
	{Key: "slab_conn", Title: "kernel objects/conn", Unit: octets},
	{Key: "rss", Title: "RSS", Unit: octets},
	{Key: "open_rate", Title: "opened/s", Unit: count, More: true},
	{Key: "reach", Title: "reach", Unit: share, More: true},
	{Key: "calm_p99_ns", Title: "p99 before", Unit: nanos},
	{Key: "rss_grown", Title: "RSS grown", Unit: octets, Chart: true},
	{Key: "dropped", Title: "slow dropped", Unit: share},
	{Key: "back_s", Title: "all back", Unit: seconds, Chart: true},
	{Key: "retries", Title: "retries", Unit: count},
	{Key: "slope", Title: "RSS/hour", Unit: octets, Chart: true},
	{Key: "messages", Title: "messages", Unit: count, Load: true},
	{Key: "deliveries", Title: "deliveries", Unit: count, Load: true},
	{Key: "ack_p50_ns", Title: "stored p50", Unit: nanos},
	{Key: "ack_p99_ns", Title: "stored p99", Unit: nanos, Chart: true},
	{Key: "join_p50_ns", Title: "joined p50", Unit: nanos},
	{Key: "join_p99_ns", Title: "joined p99", Unit: nanos},
	{Key: "cut_off", Title: "cut off", Unit: count, Load: true},
	{Key: "resume_p50_ns", Title: "resumed p50", Unit: nanos},
	{Key: "resume_p99_ns", Title: "resumed p99", Unit: nanos},
	{Key: "recovered", Title: "recovered", Unit: count, Load: true},
	{Key: "repeated", Title: "repeated publishes", Unit: count, Load: true},
	{Key: "page_p50_ns", Title: "page p50", Unit: nanos},
	{Key: "page_p99_ns", Title: "page p99", Unit: nanos},
	{Key: "ended", Title: "connections lost", Unit: count},
	{Key: "late_p99_ns", Title: "sent late p99", Unit: nanos},
}

// Format shows v with its unit.
func (m Metric) Format(v float64) string {
	switch m.Unit {
	case micros:
		return fmt.Sprintf("%.3g", v)
	case nanos:
		return duration(v)
	case seconds:
		return duration(v * 1e9)
	case share:
		return fmt.Sprintf("%.0f %%", 100*v)
	case octets:
		return size(v)
	default:
		return number(v)
	}
}

// duration shows ns with three digits.
func duration(ns float64) string {
	switch {
	case ns >= 1e9:
		return fmt.Sprintf("%.3g s", ns/1e9)
	case ns >= 1e6:
		return fmt.Sprintf("%.3g ms", ns/1e6)
	case ns >= 1e3:
		return fmt.Sprintf("%.3g µs", ns/1e3)
	}
	return fmt.Sprintf("%.0f ns", ns)
}

func size(n float64) string {
	switch a := math.Abs(n); {
	case a >= 10<<20:
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	case a >= 10<<10:
		return fmt.Sprintf("%.1f KiB", n/(1<<10))
	}
	return fmt.Sprintf("%.0f B", n)
}

func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v < 0.001:
		return fmt.Sprintf("%.1g", v)
	}
	return fmt.Sprintf("%.3g", v)
}
