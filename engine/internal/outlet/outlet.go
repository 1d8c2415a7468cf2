// Package outlet is the part of a connection that says what may be sent on it, and in
// which form: what a publish has to know of a subscriber.
package outlet

import (
	"sync/atomic"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
)

// Outlet belongs to one loop.Conn, whose lock is meant by "the lock".
type Outlet struct {
	state atomic.Uint32 // a State; written under the lock, read by anyone

	// Guarded by the lock.
	Fragments codec.OpCode // of the message begun by SendFragment; 0: none
	Overtaken bool         // a compressed frame that connections share was sent, and the window to send does not hold it

	// Immutable once the connection is open.
	Takeover uint8          // who refers back to messages before
	Variant  frames.Variant // of what is sent, if it is large enough
}

// The bits of Outlet.Takeover.
const (
	SendsInContext    uint8 = 1 << iota // this side refers back to what it sent
	ReceivesInContext                   // the peer does
)

// State returns the phase and the requests. Any goroutine.
func (o *Outlet) State() State { return State(o.state.Load()) }

// IsOpen reports whether messages are sent and delivered. Any goroutine.
func (o *Outlet) IsOpen() bool { return o.state.Load() == uint32(Open) }

// MayWrite reports whether data frames may still be written: the close frame was not, and
// the connection is not dropped. Any goroutine.
func (o *Outlet) MayWrite() bool {
	s := o.State()
	return s.Phase() == Open && !s.Asked(AskShed|AskFail|AskDrop|AskRelief)
}

// NoteLocked notes r.
func (o *Outlet) NoteLocked(r Request) { o.state.Or(uint32(r)) }

// AskLocked notes r if the connection is open and its end was not asked for yet, and
// reports whether that is so.
func (o *Outlet) AskLocked(r Request) (first bool) {
	if !o.IsOpen() {
		return false
	}
	o.NoteLocked(r)
	return true
}

// MoveLocked makes p the phase.
func (o *Outlet) MoveLocked(p Phase) { o.state.Store(o.state.Load()&^0xff | uint32(p)) }
