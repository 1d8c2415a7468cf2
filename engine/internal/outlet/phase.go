package outlet

// Phase is how far the life of a connection has gone (RFC 6455 section 7). It
// only moves on, on the owning loop. ARCHITECTURE.md has the diagram.
type Phase uint32

const (
	Opening   Phase = iota // the opening handshake is under way
	Open                   // messages both ways
	Closing                // this side's close frame is sent or queued; the peer's is awaited
	Leaving                // the peer ended TCP without a close frame; what is queued is sent
	Failing                // this side failed the connection: input is discarded, the peer gets time to read why
	Answering              // the peer's close frame came; the answer follows what is queued
	Closed                 // the transport is gone
)

var phaseNames = [...]string{"opening", "open", "closing", "leaving", "failing", "answering", "closed"}

func (p Phase) String() string { return phaseNames[p] }

// Hears reports whether what the peer sends is still looked at.
func (p Phase) Hears() bool { return p <= Closing }

// Request is what goroutines ask of a connection. Sends are refused from the
// moment it is noted; the loop carries it out.
type Request uint32

const (
	AskClose  Request = 1 << (8 + iota) // Close
	AskShed                             // the policy for slow subscribers is SlowClose
	AskFail                             // Fail
	AskDrop                             // CloseNow
	AskRelief                           // Limits.MaxMemory is reached
	AskMute                             // message callbacks of the worker pool are over
)

// State is the phase and the requests of a connection in one word, so that the
// usual question, "is it open and to stay so", is one comparison.
type State uint32

// Phase returns the phase.
func (s State) Phase() Phase { return Phase(s & 0xff) }

// Asked reports whether one of r was noted.
func (s State) Asked(r Request) bool { return Request(s)&r != 0 }
