package chat

import (
	"fmt"
	"strings"
)

// Faults count what breaks the promises of the service.
type Faults struct {
	Missing    int      `json:"missing,omitempty"`    // deliveries: a user did not get a message of one of its rooms
	Doubled    int      `json:"doubled,omitempty"`    // deliveries: a user got a message twice, or it was stored twice
	Disordered int      `json:"disordered,omitempty"` // deliveries: behind a message with a larger offset
	Foreign    int      `json:"foreign,omitempty"`    // deliveries: not published in this room, or the user is not in it
	Damaged    int      `json:"damaged,omitempty"`    // deliveries: content, offset or prev differ from what was published
	Resets     int      `json:"resets,omitempty"`     // subscriptions that the service could not resume
	Unanswered int      `json:"unanswered,omitempty"` // publishes without an acknowledgement
	First      []string `json:"first,omitempty"`      // descriptions of the first faults
}

// firstFaults bounds the faults that are described.
const firstFaults = 3

func (f *Faults) note(format string, values ...any) {
	if len(f.First) < firstFaults {
		f.First = append(f.First, fmt.Sprintf(format, values...))
	}
}

// String lists the faults; it is empty if there are none.
func (f Faults) String() string {
	var counts []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{f.Missing, "missing"}, {f.Doubled, "doubled"}, {f.Disordered, "out of order"}, {f.Foreign, "foreign"},
		{f.Damaged, "damaged"}, {f.Resets, "resets"}, {f.Unanswered, "publishes without an answer"},
	} {
		if c.n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(counts, ", ")
}

// Err returns a *FaultError, or nil if there are no faults.
func (f Faults) Err() error {
	if f.String() == "" {
		return nil
	}
	return &FaultError{f}
}

// FaultError says that the service did not deliver every message once and in order.
type FaultError struct{ Faults Faults }

func (e *FaultError) Error() string {
	return fmt.Sprintf("the service does not deliver every message once and in order: %v; first: %s",
		e.Faults, strings.Join(e.Faults.First, "; "))
}
