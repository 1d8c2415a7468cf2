package load

import "fmt"

// Faults are the messages that did not arrive once, whole and in order.
type Faults struct {
	Missing    uint64 `json:"missing,omitempty"`
	Duplicated uint64 `json:"duplicated,omitempty"`
	Reordered  uint64 `json:"reordered,omitempty"`
	Corrupt    uint64 `json:"corrupt,omitempty"`
	First      string `json:"first,omitempty"` // what was noticed first
}

// None says that every message arrived once, whole and in order.
func (f Faults) None() bool { return f.Missing+f.Duplicated+f.Reordered+f.Corrupt == 0 }

// Err is nil if there are no faults, and otherwise a *FaultError.
func (f Faults) Err() error {
	if f.None() {
		return nil
	}
	return &FaultError{f}
}

// Add adds the faults of another receiver.
func (f *Faults) Add(other Faults) {
	f.Missing += other.Missing
	f.Duplicated += other.Duplicated
	f.Reordered += other.Reordered
	f.Corrupt += other.Corrupt
	if f.First == "" {
		f.First = other.First
	}
}

func (f *Faults) note(format string, args ...any) {
	if f.First == "" {
		f.First = fmt.Sprintf(format, args...)
	}
}

// FaultError says that the server lost, repeated, reordered or damaged messages.
type FaultError struct{ Faults Faults }

func (e *FaultError) Error() string {
	f := e.Faults
	return fmt.Sprintf("the server does not deliver every message once, whole and in order: "+
		"%d missing, %d duplicated, %d out of order, %d corrupt; first: %s",
		f.Missing, f.Duplicated, f.Reordered, f.Corrupt, f.First)
}

// order follows the messages of one sender at one receiver.
type order struct {
	next  uint32 // the one that should come next
	holes uint64 // bit i is set while next-1-i is missing
}

// see notes the arrival of message seq; receiver and sender are for the report.
func (o *order) see(seq uint32, f *Faults, receiver, sender uint32) {
	switch ahead := int32(seq - o.next); {
	case ahead == 0:
		o.holes <<= 1
		o.next++
	case ahead > 0:
		f.Missing += uint64(ahead)
		f.note("connection %d: message %d of connection %d is missing", receiver, o.next, sender)
		o.holes = o.holes<<(ahead+1) | (uint64(1)<<ahead-1)<<1
		o.next = seq + 1
	default:
		behind := uint32(-ahead - 1)
		if bit := uint64(1) << behind; behind < 64 && o.holes&bit != 0 {
			o.holes &^= bit
			f.Missing--
			f.Reordered++
			f.note("connection %d: message %d of connection %d came late", receiver, seq, sender)
			return
		}
		f.Duplicated++
		f.note("connection %d: message %d of connection %d came twice", receiver, seq, sender)
	}
}
