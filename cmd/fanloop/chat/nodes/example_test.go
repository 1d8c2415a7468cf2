package nodes_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/nodes"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// Each node answers what any of them asks.
func Example() {
	store := clustertest.NewStore(clustertest.Options{}) // in production: package natsbroker
	join := func(name string) (*nodes.Nodes, error) {
		return nodes.New(nodes.Config{
			Bus: store.Connect(), Name: name, Every: 10 * time.Millisecond, Settle: 50 * time.Millisecond,
			Answer: func(question []byte) []byte { return append(question, " by "+name...) },
		})
	}
	one, err := join("one")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer one.Close()
	two, err := join("two")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer two.Close()
	answers, err := one.Ask(context.Background(), []byte("done"))
	for _, a := range answers {
		fmt.Printf("%s: %s\n", a.Node, a.Body)
	}
	fmt.Println(err)
	// Output:
	// one: done by one
	// two: done by two
	// <nil>
}
