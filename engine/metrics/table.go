package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fanloop-go/fanloop/engine"
)

// metric reads one value of T.
type metric[T any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*T) float64
}

func gauge[T any](name, help string, of func(*T) int, labels ...string) metric[T] {
	return metric[T]{desc(name, help, labels...), prometheus.GaugeValue, func(t *T) float64 { return float64(of(t)) }}
}

func counter[T any](name, help string, of func(*T) uint64, labels ...string) metric[T] {
	return metric[T]{desc(name, help, labels...), prometheus.CounterValue, func(t *T) float64 { return float64(of(t)) }}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("fanloop_"+name, help, labels, nil)
}

type (
	loopStats = engine.LoopStats
	stats     = engine.Stats
)

// loops are counted for each loop.
var loops = []metric[loopStats]{
	gauge("loop_connections", "Open connections of a loop, handshakes and those that wait for the next HTTP request included.",
		func(s *loopStats) int { return s.Connections }, "loop"),
	gauge("loop_tls_connections", "Open connections of a loop that speak TLS.",
		func(s *loopStats) int { return s.Encrypted }, "loop"),
	gauge("loop_queued_bytes", "Bytes of messages that sockets did not take yet; one that is shared counts for each connection.",
		func(s *loopStats) int { return s.QueuedBytes }, "loop"),
	gauge("loop_pending_bytes", "Bytes of memory of what was published and the loop has yet to deliver, if more than 64 KiB.",
		func(s *loopStats) int { return s.PendingBytes }, "loop"),
	gauge("loop_assembly_bytes", "Bytes of memory of what was received and is not delivered.",
		func(s *loopStats) int { return s.AssemblyBytes }, "loop"),
	gauge("loop_held_bytes", "Bytes of memory of all that waits.",
		func(s *loopStats) int { return s.HeldBytes }, "loop"),
	gauge("loop_budget_bytes", "Bytes that fanloop_loop_held_bytes may be at most; 0: not bounded.",
		func(s *loopStats) int { return s.Budget }, "loop"),
	counter("loop_received_messages_total", "Data messages received.",
		func(s *loopStats) uint64 { return s.MessagesIn }, "loop"),
	counter("loop_sent_messages_total", "Data messages sent; a publish counts for each subscriber.",
		func(s *loopStats) uint64 { return s.MessagesOut }, "loop"),
	counter("loop_received_bytes_total", "Bytes received on the wire.",
		func(s *loopStats) uint64 { return s.BytesIn }, "loop"),
	counter("loop_sent_bytes_total", "Bytes sent on the wire.",
		func(s *loopStats) uint64 { return s.BytesOut }, "loop"),
	counter("loop_deferred_turns_total", "Times that a connection waited for its turn, as it had more to do than others.",
		func(s *loopStats) uint64 { return s.Deferred }, "loop"),
	counter("loop_batch_flushes_total", "Flushes of topics that are batched; those of one group are one.",
		func(s *loopStats) uint64 { return s.BatchFlushes }, "loop"),
	counter("loop_batch_messages_total", "Messages in the flushes of topics that are batched.",
		func(s *loopStats) uint64 { return s.BatchMessages }, "loop"),
	{desc("loop_batch_delay_seconds", "Seconds that messages of the busiest batched topic wait at the moment, about.", "loop"),
		prometheus.GaugeValue, func(s *loopStats) float64 { return s.BatchDelay.Seconds() }},
}

// server is counted for the whole server.
var server = []metric[stats]{
	counter("dropped_messages_total", "Messages lost to subscribers that were slow, or because a loop was behind.",
		func(s *stats) uint64 { return s.Dropped }),
	counter("conflated_messages_total", "Messages replaced by a later one of the same key for slow subscribers.",
		func(s *stats) uint64 { return s.Conflated }),
	counter("dropped_tls_handshakes_total", "Connections dropped in the TLS handshake because others queued for it.",
		func(s *stats) uint64 { return s.ClosedTLS }),
	gauge("http_connections", "Connections that the HTTP handler serves, besides those of the loops.",
		func(s *stats) int { return s.HTTP }),
	counter("dispatch_skipped_messages_total", "Messages that waited in Dispatch when their connection ended.",
		func(s *stats) uint64 { return s.Skipped }),
	counter("panics_total", "Callbacks that did not return.",
		func(s *stats) uint64 { return s.Panics }),
	gauge("compressed_connections", "Connections that agreed on permessage-deflate.",
		func(s *stats) int { return s.Compressed }),
	gauge("compression_reserved_bytes", "Bytes set aside for context takeover.",
		func(s *stats) int { return s.TakeoverReserve }),
	counter("compressed_messages_total", "Messages compressed; a publish counts once for each window size.",
		func(s *stats) uint64 { return s.Compressions }),
}

// These have one series for each value of a label, of which there are few.
var (
	ended   = desc("ended_connections_total", "Connections that have ended, by cause, without those that ended in the handshake.", "cause")
	refused = desc("refused_requests_total", "Requests refused, by HTTP status; reset: over the limit, and dropped without an answer.", "status")
	memory  = desc("memory_bytes", "Bytes of memory held for connections, by class.", "class")
)
