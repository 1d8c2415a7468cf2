package chat

import (
	"fmt"

	"github.com/fanloop-go/fanloop/bench/load"
)

// figures are what a run counts. Owned by the loop.
type figures struct {
	connected  load.Latency // from dialing to the answer to the last subscribe
	resumed    load.Latency // the same, of users who reconnect
	delivery   load.Latency // of each delivery, from the time the publish was due
	ack        load.Latency // of each acknowledgement, from the time the publish was due
	history    load.Latency // from the request of a page to its answer
	late       load.Latency // from the time a publish was due to its sending, by this side
	deliveries int
	recovered  int // of deliveries: due while the user was away
	acks       int
	duplicates int // publishes that were repeated and had been stored before
	cuts       int
	ended      int // connections that the service ended
	retries    int
	last       int64    // clock of the last delivery
	notes      []string // unplanned events
}

func (f *figures) note(format string, values ...any) {
	if len(f.notes) < firstFaults {
		f.notes = append(f.notes, fmt.Sprintf(format, values...))
	}
}
