package chat

import (
	"fmt"
	"strings"
)

// Faults are deliveries that are not what the service promises.
type Faults struct {
	Missing    int      `json:"missing,omitempty"`    // a user did not get a message of its room
	Doubled    int      `json:"doubled,omitempty"`    // a user got it twice, or it was stored twice
	Disordered int      `json:"disordered,omitempty"` // a message came behind one with a larger offset
	Foreign    int      `json:"foreign,omitempty"`    // it was not published in this room, or the user is not there
	Damaged    int      `json:"damaged,omitempty"`    // it, or what it says of its place, is not as it was
	Resets     int      `json:"resets,omitempty"`     // the service says that messages may be lost
	Unanswered int      `json:"unanswered,omitempty"` // publishes without published
	First      []string `json:"first,omitempty"`      // what was noticed first
}

// firstFaults is how many faults are described.
const firstFaults = 3

func (f *Faults) note(format string, values ...any) {
	if len(f.First) < firstFaults {
		f.First = append(f.First, fmt.Sprintf(format, values...))
	}
}

// String lists the faults; empty: there are none.
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

// Err is nil if there are no faults, and otherwise a *FaultError.
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
