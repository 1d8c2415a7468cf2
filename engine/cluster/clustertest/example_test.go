package clustertest_test

import (
	"context"
	"fmt"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// Two nodes on a store in memory: one is cut off, and has what it missed when it is back.
func Example() {
	ctx := context.Background()
	store := clustertest.NewStore(clustertest.Options{})
	here, there := store.Connect(), store.Connect()
	one, two := cluster.NewNode(here, cluster.Config{}), cluster.NewNode(there, cluster.Config{})
	defer one.Close()
	defer two.Close()
	sub, err := two.Subscribe(ctx, "room", cluster.Position{}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sub.Close()
	there.Cut()
	if _, err := one.Publish(ctx, "room", "", []byte("hello")); err != nil {
		fmt.Println(err)
		return
	}
	there.Heal()
	for n := 0; n == 0; {
		batch, err := sub.Next(ctx, cluster.Budget{})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, m := range batch.Messages {
			fmt.Println(string(m.Data))
			n++
		}
	}
	// Output: hello
}
