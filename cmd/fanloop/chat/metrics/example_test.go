package metrics_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/metrics"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// The metrics of a node in a registry of yours.
func ExampleNew() {
	ctx := context.Background()
	c := config.Default()
	c.Listen = "127.0.0.1:0"
	node, err := service.Start(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Shutdown(ctx) }()
	yours := prometheus.NewRegistry()
	yours.MustRegister(metrics.New(node))
	all, err := yours.Gather()
	fmt.Println(len(all) > 0, err)
	// Output: true <nil>
}
