package presence_test

import (
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// Two nodes: users join on one, clients of the other see them.
func Example() {
	store := clustertest.NewStore(clustertest.Options{}) // in production: package natsbroker
	one, err := presence.New(store.Connect(), presence.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer one.Close()
	two, err := presence.New(store.Connect(), presence.Config{Every: 10 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer two.Close()

	updates := make(chan presence.Update, 10)
	w, err := two.Watch("room", func(u presence.Update) { updates <- u }) // publish it to the clients
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	leave, err := one.Join("room", "ann") // when a connection of ann subscribes
	if err != nil {
		fmt.Println(err)
		return
	}
	defer leave() // when the connection ends
	u := <-updates
	fmt.Println(u.Joined, u.Count)

	page, err := w.Page("", 10)
	fmt.Println(page, err)
	// Output:
	// [ann] 1
	// [{ann 1}] <nil>
}
