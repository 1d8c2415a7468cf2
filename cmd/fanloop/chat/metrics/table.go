package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// metric reads one value.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*service.Stats) float64
}

func gauge(name, help string, of func(*service.Stats) int) metric {
	return metric{desc(name, help), prometheus.GaugeValue, func(s *service.Stats) float64 { return float64(of(s)) }}
}

func counter(name, help string, of func(*service.Stats) uint64) metric {
	return metric{desc(name, help), prometheus.CounterValue, func(s *service.Stats) float64 { return float64(of(s)) }}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("fanloop_chat_"+name, help, labels, nil)
}

// table has one series each.
var table = []metric{
	gauge("sessions", "Clients that are connected.", func(s *service.Stats) int { return s.Sessions }),
	gauge("stream_sessions", "Clients that are connected by Server-Sent Events.", func(s *service.Stats) int { return s.Streams }),
	gauge("users", "Users with a connection to this node.", func(s *service.Stats) int { return s.Users }),
	gauge("subscriptions", "Subscriptions that get messages.", func(s *service.Stats) int { return s.Subscriptions }),
	gauge("lagging_subscriptions", "Subscriptions that catch up with history.", func(s *service.Stats) int { return s.Live.CatchingUp }),
	gauge("topics", "Topics that this node follows.", func(s *service.Stats) int { return s.Cluster.Topics }),
	gauge("kept_messages", "Messages of topics in memory.", func(s *service.Stats) int { return s.Kept.Messages }),
	gauge("kept_bytes", "Bytes of messages of topics in memory.", func(s *service.Stats) int { return s.Kept.Bytes }),
	counter("commands_total", "Commands of clients.", func(s *service.Stats) uint64 { return s.Commands }),
	counter("repeated_publishes_total", "Publishes whose id was stored before.", func(s *service.Stats) uint64 { return s.Repeated }),
	counter("failed_publishes_total", "Publishes that were not stored, or not confirmed.", func(s *service.Stats) uint64 { return s.Unstored }),
	counter("delivered_messages_total", "Messages to subscribers, for each of them.", func(s *service.Stats) uint64 { return s.Delivered }),
	counter("encoded_messages_total", "New messages that were encoded, once for each encoding.", func(s *service.Stats) uint64 { return s.Live.Encoded }),
	counter("pages_total", "Pages to subscribers that catch up.", func(s *service.Stats) uint64 { return s.Live.Pages }),
	counter("slow_subscribers_total", "Times that a subscriber did not keep up and went on from history.", func(s *service.Stats) uint64 { return s.Live.Slow }),
	counter("resets_total", "Times that a subscriber was told that messages may be missing.", func(s *service.Stats) uint64 { return s.Live.Resets }),
	counter("lagging_connections_total", "Connections closed as they did not catch up in time.", func(s *service.Stats) uint64 { return s.Live.Lagging }),
	counter("panics_total", "Callbacks of topics that panicked: what they were called with was left out.", func(s *service.Stats) uint64 { return s.Live.Panics }),
	counter("failed_reads_total", "Pages of history that could not be read.", func(s *service.Stats) uint64 { return s.Unread }),
	gauge("waiting_questions", "Questions to the store, to keys and backends that wait for a goroutine.", func(s *service.Stats) int { return s.Waiting }),
	counter("refused_questions_total", "Questions refused as too many waited.", func(s *service.Stats) uint64 { return s.Overloads }),
	gauge("revocations", "Users, sessions and tokens that are revoked.", func(s *service.Stats) int { return s.Revoked.Revocations }),
	gauge("revocations_limit", "Users, sessions and tokens that may be revoked at a time.", func(s *service.Stats) int { return s.Revoked.Max }),
	gauge("jwks_keys", "Keys of accounts.jwks that are in use.", func(s *service.Stats) int { return s.Keys.Used }),
	gauge("jwks_skipped_keys", "Keys of accounts.jwks that are of no use.", func(s *service.Stats) int { return s.Keys.Skipped }),
	gauge("jwks_age_seconds", "Time since the keys of accounts.jwks were fetched, or since the start if they never were. 0: there is no jwks.", func(s *service.Stats) int { return s.Keys.Age }),
	gauge("jwks_failures", "Fetches of accounts.jwks that failed since one succeeded.", func(s *service.Stats) int { return s.Keys.Failures }),
	counter("failed_jwks_fetches_total", "Fetches of accounts.jwks that failed.", func(s *service.Stats) uint64 { return s.Keys.Failed }),
	gauge("known_nodes", "Other nodes that this one hears.", func(s *service.Stats) int { return s.Revoked.Nodes }),
	counter("dropped_revocation_messages_total", "Messages of other nodes about revocations that came too fast; they are made up for.", func(s *service.Stats) uint64 { return s.Revoked.Dropped }),
	gauge("nats_connected", "1 while NATS can be reached.", func(s *service.Stats) int { return int(truth(s.Connected)) }),
	gauge("quorum", "1 while enough of the servers that keep messages run to store them, as far as this is known.", func(s *service.Stats) int { return int(truth(s.Quorum)) }),
	gauge("reached_servers", "Servers that keep messages and that the one of this process reaches, itself included. 0: not known.", func(s *service.Stats) int { return s.Servers.Reached }),
	gauge("cluster_servers", "Servers that keep messages together with the one of this process. 0: not known.", func(s *service.Stats) int { return s.Servers.All }),
	gauge("store_used_bytes", "Bytes that the store of this process uses of its disk.", func(s *service.Stats) int { return int(s.Store.Used) }),
	gauge("store_limit_bytes", "Bytes that the store of this process may use: less if its disk has less. 0: there is none.", func(s *service.Stats) int { return int(s.Store.Limit) }),
	counter("nats_gaps_total", "Times that NATS may have lost messages of a topic; they are read again.", func(s *service.Stats) uint64 { return s.Cluster.Gaps }),
	counter("nats_holes_total", "Live messages that did not follow the one before.", func(s *service.Stats) uint64 { return s.Cluster.Holes }),
	counter("nats_reads_total", "Requests for messages to NATS.", func(s *service.Stats) uint64 { return s.Cluster.Reads }),
	counter("nats_checks_total", "Requests for the end of a topic to NATS.", func(s *service.Stats) uint64 { return s.Cluster.Heads }),
	counter("nats_resets_total", "Times that the chain of a topic was broken for good.", func(s *service.Stats) uint64 { return s.Cluster.Resets }),
}

// These have labels, or several values.
var (
	ready         = desc("ready", "1 while the node should get new connections.")
	failures      = desc("errors_total", "Errors that answered a command, by code.", "code")
	closings      = desc("closed_connections_total", "Connections that the node closed, by the code of the last frame.", "code")
	tokens        = desc("refused_tokens_total", "Tokens that were refused, by reason.", "reason")
	stored        = desc("publish_seconds", "Time until a message was stored, in seconds.")
	read          = desc("history_seconds", "Time until a page of history was read, in seconds.")
	loopLag       = desc("loop_lag_seconds", "Time until a loop got to something new, in seconds, at this scrape.", "loop")
	hookQuestions = desc("hook_questions_total", "Questions to the backend, by hook and outcome.", "hook", "outcome")
	hookSeconds   = desc("hook_seconds", "Time until the backend had answered, in seconds.", "hook")
	hookShared    = desc("hook_shared_questions_total", "Questions that were asked together with others.", "hook")
	hookPending   = desc("hook_pending_questions", "Questions that run or wait.", "hook")
	hookOpen      = desc("hook_circuit_open", "1 while the backend is not asked, or with one question only, as it failed.", "hook")

	labelled = []*prometheus.Desc{
		ready, failures, closings, tokens, stored, read, loopLag, hookQuestions, hookSeconds, hookShared, hookPending, hookOpen,
	}
)
