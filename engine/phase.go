package engine

// phase is how far the life of a connection has gone (RFC 6455 section 7). It
// only moves on, in become, on the owning loop. ARCHITECTURE.md has the diagram.
type phase uint32

const (
	phaseOpening   phase = iota // the opening handshake is under way
	phaseOpen                   // messages both ways
	phaseClosing                // this side's close frame is sent or queued; the peer's is awaited
	phaseLeaving                // the peer ended TCP without a close frame; what is queued is sent
	phaseFailing                // this side failed the connection: input is discarded, the peer gets time to read why
	phaseAnswering              // the peer's close frame came; the answer follows what is queued
	phaseClosed                 // the transport is gone
)

var phaseNames = [...]string{"opening", "open", "closing", "leaving", "failing", "answering", "closed"}

func (p phase) String() string { return phaseNames[p] }

// request is what goroutines ask of a connection. Sends are refused from the
// moment it is noted; the loop carries it out.
type request uint32

const (
	askClose  request = 1 << (8 + iota) // Close
	askShed                             // the policy for slow subscribers is SlowClose
	askDrop                             // CloseNow
	askRelief                           // Limits.MaxMemory is reached
	saidClose                           // no request: the close frame is written, nothing follows it, and the phase is about to
	askMute                             // message callbacks of the worker pool are over
)

// state is the phase and the requests of a connection in one word, so that the
// usual question, "is it open and to stay so", is one comparison. Written under
// the lock of conn, read by anyone.
type state uint32

func (s state) phase() phase         { return phase(s & 0xff) }
func (s state) asked(r request) bool { return request(s)&r != 0 }

// isOpen says whether messages are sent and delivered. Any goroutine.
func (ws *WebSocket) isOpen() bool { return ws.state.Load() == uint32(phaseOpen) }

func (ws *WebSocket) loadState() state { return state(ws.state.Load()) }

// phase returns the phase of ws. Any goroutine; it is stable on the owning loop.
func (ws *WebSocket) phase() phase { return ws.loadState().phase() }

// hears says whether what the peer sends is still looked at.
func (p phase) hears() bool { return p <= phaseClosing }

// askLocked notes r if the connection is open and nobody has asked for its end yet,
// and says whether that is so. Under the lock of conn.
func (ws *WebSocket) askLocked(r request) (first bool) {
	if !ws.isOpen() {
		return false
	}
	ws.state.Or(uint32(r))
	return true
}

// become moves ws on to a later phase and starts the deadline that belongs to it.
// Loop only; under no lock.
func (ws *WebSocket) become(p phase) {
	ws.conn.Lock()
	was := ws.phase()
	if p <= was {
		ws.conn.Unlock()
		return
	}
	ws.state.Store(ws.state.Load()&^0xff | uint32(p))
	ws.conn.Unlock()
	switch p {
	case phaseOpen:
		ws.armAlive(ws.heard)
	case phaseClosing, phaseLeaving, phaseFailing, phaseAnswering:
		ws.retire()
		ws.armClose()
	case phaseOpening, phaseClosed:
	}
}
