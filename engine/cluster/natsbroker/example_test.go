package natsbroker_test

import (
	"context"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// A node on a NATS server in the same process.
func Example() {
	dir, err := os.MkdirTemp("", "example") // in production: a directory that stays
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	server, err := natsserver.Start(natsserver.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	ctx := context.Background()
	broker, err := natsbroker.Connect(ctx, natsbroker.Config{Options: []nats.Option{server.InProcess()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	node := cluster.NewNode(broker, cluster.Config{})
	defer node.Close()

	more := make(chan struct{}, 1)
	s, err := node.Subscribe(ctx, "room", cluster.Position{}, func() { more <- struct{}{} })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if _, err := s.Next(ctx, cluster.Budget{}); err != nil { // nothing yet: notify is called
		fmt.Println(err)
		return
	}
	if _, err := node.Publish(ctx, "room", "", []byte("hello")); err != nil {
		fmt.Println(err)
		return
	}
	<-more
	batch, err := s.Next(ctx, cluster.Budget{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range batch.Messages {
		fmt.Println(string(m.Data))
	}
	// Output: hello
}
