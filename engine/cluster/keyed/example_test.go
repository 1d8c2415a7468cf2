package keyed_test

import (
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
)

// Who is typing, on two nodes: the value is gone when nobody sets it again.
func Example() {
	store := clustertest.NewStore(clustertest.Options{}) // in production: package natsbroker
	config := keyed.Config{Name: "typing", Lifetime: 50 * time.Millisecond, Every: 10 * time.Millisecond}
	one, err := keyed.New(store.Connect(), config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer one.Close()
	two, err := keyed.New(store.Connect(), config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer two.Close()

	changed := make(chan struct{}, 1)
	s, err := two.Subscribe("room", func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if _, err := s.Next(0); err != nil { // what there is: nothing yet
		fmt.Println(err)
		return
	}
	if err := one.Set("room", "ann", []byte("typing")); err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		<-changed
		batch, err := s.Next(0) // at most 500 values in a second
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, v := range batch.Values {
			fmt.Println(v.Key, v.Data, v.Gone)
		}
	}
	// Output:
	// ann typing false
	// ann  true
}
