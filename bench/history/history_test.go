package history

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// childVariable makes the test binary a child of Room.
const childVariable = "FANLOOP_TEST_ROOM"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// Everything that is published arrives, and is measured.
func TestTopics(t *testing.T) {
	r, err := Topics(t.Context(), TopicsConfig{
		Topics: 50, Conns: 5, Rate: 500, Size: 100, Time: 200 * time.Millisecond, Shards: 2, Show: func(string) {},
	})
	if err != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Published < 50 || r.Failed > 0 || r.Delivered != r.Published || r.Ack.P50 == 0 || r.Delivery.Max < r.Delivery.P50 {
		t.Errorf("%+v", r)
	}
	if r.Ring.Messages != r.Published {
		t.Errorf("%d messages in rings, want the %d that were published since", r.Ring.Messages, r.Published)
	}
	for _, bad := range []TopicsConfig{{}, {Topics: 1, Conns: 1, Rate: 1, Size: stampSize - 1, Time: 1}} {
		if _, err := Topics(t.Context(), bad); err == nil {
			t.Errorf("%+v is measured", bad)
		}
	}
}

// Each message reaches each socket of all nodes once.
func TestRoom(t *testing.T) {
	t.Setenv(childVariable, "1")
	r, err := Room(t.Context(), RoomConfig{
		Sockets: 50, PerProcess: 30, Messages: 5, Size: 64, Self: []string{os.Args[0]}, Show: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Nodes != 2 || r.Deliveries != 250 || r.Last.P50 == 0 || r.Last.Max < r.Last.P99 {
		t.Errorf("%+v", r)
	}
	if _, err := Room(t.Context(), RoomConfig{}); err == nil {
		t.Error("nothing is measured")
	}
}
