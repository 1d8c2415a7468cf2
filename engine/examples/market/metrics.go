package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
)

// metrics writes what the server counts, in the text format of Prometheus.
func (m *markets) metrics(w http.ResponseWriter, _ *http.Request) {
	st := m.srv.Stats()
	metric(w, "connections", "gauge", st.Connections)
	metric(w, "queued_bytes", "gauge", st.QueuedBytes)
	metric(w, "held_bytes", "gauge", st.HeldBytes)
	metric(w, "messages_sent_total", "counter", st.MessagesOut)
	metric(w, "messages_dropped_total", "counter", st.Dropped)
	metric(w, "messages_conflated_total", "counter", st.Conflated)
	labeled(w, "ended_total", "counter", "cause", st.Ended)
	labeled(w, "refused_total", "counter", "status", st.Refused)
	subscribers := make(map[string]int)
	for name, topic := range m.topics {
		subscribers[name] = topic.Subscribers()
	}
	labeled(w, "subscribers", "gauge", "market", subscribers)
}

func metric[N int | uint64](w io.Writer, name, kind string, n N) {
	fmt.Fprintf(w, "# TYPE market_%s %s\nmarket_%s %d\n", name, kind, name, n)
}

func labeled[K ~string | ~int | ~uint8, N int | uint64](w io.Writer, name, kind, label string, values map[K]N) {
	fmt.Fprintf(w, "# TYPE market_%s %s\n", name, kind)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(w, "market_%s{%s=\"%v\"} %d\n", name, label, key, values[key])
	}
}
