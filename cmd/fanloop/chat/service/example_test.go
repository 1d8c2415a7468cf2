package service_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// A node in your own program. It keeps messages in memory without a data-dir.
func Example() {
	ctx := context.Background()
	c := config.Default()
	c.Listen = "127.0.0.1:0"
	node, err := service.Start(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Shutdown(ctx) }()
	hello := &protocol.Publish{Topic: "lobby", ID: "1", Data: protocol.Data(`"hello"`)}
	if _, err := node.Publish(ctx, "ann", "Ann", hello); err != nil {
		fmt.Println(err)
		return
	}
	page, err := node.History(ctx, &protocol.History{Topic: "lobby", Limit: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range page.Messages {
		fmt.Printf("%s: %s\n", m.User, m.Data)
	}
	// Output: ann: "hello"
}
