package cluster_test

import (
	"context"
	"fmt"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// A client follows a topic on one node, is away, and goes on at another.
func Example() {
	store := clustertest.NewStore(clustertest.Options{}) // in production: package natsbroker
	one := cluster.NewNode(store.Connect(), cluster.Config{})
	defer one.Close()
	two := cluster.NewNode(store.Connect(), cluster.Config{})
	defer two.Close()
	ctx := context.Background()

	s, err := one.Subscribe(ctx, "room", cluster.Position{}, func() {})
	if err != nil {
		fmt.Println(err)
		return
	}
	at := s.Position() // what the client keeps
	s.Close()

	for _, text := range []string{"hello", "are you there?"} {
		if _, err := one.Publish(ctx, "room", "", []byte(text)); err != nil {
			fmt.Println(err)
			return
		}
	}

	s, err = two.Subscribe(ctx, "room", at, func() {}) // notify: call Next again
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for more := true; more; {
		batch, err := s.Next(ctx, cluster.Budget{Messages: 10})
		if err != nil {
			fmt.Println(err)
			return
		}
		if batch.Lost {
			fmt.Println("load the page anew")
		}
		for _, m := range batch.Messages {
			fmt.Println(string(m.Data))
		}
		more = batch.More
	}
	// Output:
	// hello
	// are you there?
}

// printer is a Receiver.
type printer struct{ done chan struct{} }

func (p printer) Receive(data []byte) {
	fmt.Println(string(data))
	close(p.done)
}

func (p printer) Gap(reason error) { fmt.Println("something may be missing:", reason) }

// One node sends, another one that listens gets it. Nothing is kept.
func ExampleBus() {
	store := clustertest.NewStore(clustertest.Options{}) // in production: package natsbroker
	one, two := store.Connect(), store.Connect()
	bus := cluster.Lingering(two, 0) // keeps listening for a while after stop

	p := printer{make(chan struct{})}
	room := cluster.Channel{Kind: "chat", Topic: "room"}
	stop, err := bus.Listen(room, p)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	if err := one.Send(room, []byte("hello")); err != nil {
		fmt.Println(err)
		return
	}
	<-p.done
	// Output: hello
}

// A client scrolls back, page by page, from the end to the beginning.
func ExampleNode_Before() {
	store := clustertest.NewStore(clustertest.Options{}) // in production: package natsbroker
	node := cluster.NewNode(store.Connect(), cluster.Config{})
	defer node.Close()
	ctx := context.Background()
	for _, text := range []string{"one", "two", "three", "four", "five"} {
		if _, err := node.Publish(ctx, "room", "", []byte(text)); err != nil {
			fmt.Println(err)
			return
		}
	}

	var at cluster.Position // zero: from the end
	for begin := false; !begin; {
		page, err := node.Before(ctx, "room", at, cluster.Budget{Messages: 2})
		if err != nil || page.Lost {
			fmt.Println("begin anew:", err)
			return
		}
		for i := len(page.Messages) - 1; i >= 0; i-- {
			fmt.Println(string(page.Messages[i].Data))
		}
		at, begin = page.Position, page.Begin
	}
	// Output:
	// five
	// four
	// three
	// two
	// one
}
