package chat

import (
	"fmt"

	"github.com/fanloop-go/fanloop/bench/load"
)

// figures are what a run counts. Owned by the loop.
type figures struct {
	connected  load.Latency // from the connection to the last subscribed
	resumed    load.Latency // the same, of those who come back
	delivery   load.Latency // from the time a publish was due
	ack        load.Latency // the same, to published
	history    load.Latency // from history to its page
	late       load.Latency // of publishes, by this side
	deliveries int
	recovered  int // of deliveries: published while the user was away
	acks       int
	duplicates int // publishes that were sent again and stored before
	cuts       int
	ended      int // connections that the service ended
	retries    int
	last       int64    // clock of the last delivery
	notes      []string // about what was not planned
}

func (f *figures) note(format string, values ...any) {
	if len(f.notes) < firstFaults {
		f.notes = append(f.notes, fmt.Sprintf(format, values...))
	}
}
