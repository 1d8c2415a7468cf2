package metrics_test

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/metrics"
)

func Example() {
	server := new(engine.Server)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.New(server))
	families, err := registry.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, family := range families[:2] {
		fmt.Println(family.GetName(), family.GetMetric()[0].GetCounter().GetValue())
	}
	// Output:
	// fanloop_compressed_connections 0
	// fanloop_compressed_messages_total 0
}
