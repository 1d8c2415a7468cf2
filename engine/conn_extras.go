package engine

import "github.com/fanloop-go/fanloop/engine/internal/fanout"

// extras hold what a connection needs rarely or once.
type extras struct {
	subprotocol string
	takeover    *takeover    // nil: no context takeover
	lane        *lane        // of the worker pool
	slow        *fanout.Slow // nil: that of the server or the topic
	proxied     *addrs       // of the PROXY header; nil: there was none
	value       any          // see Set
	onDemand    *onDemand    // nil: none of it was asked for
	ending      *ending      // nil: nothing has ended it, or is about to
	input       *input       // nil: nothing waits
	pongDue     bool         // input.pong is to be sent
	inOnGap     bool         // OnGap is being called: what it sends goes out, though Close was called
}

// input is what came and waits.
type input struct {
	held    []byte     // received and not yet looked at, because reading is paused
	waiting *inflation // received before that, and put off; owned by the loop
	kept    int        // bytes that Hold counted
	pong    []byte     // the answer to the last ping, when the queue has room
	arrival progress   // of the message that is arriving; while closing, of all of them; owned by the loop
}

// ending is the end of a connection.
type ending struct {
	asked  closeFrame // what Close asked for
	why    CloseCause // goes with err, or else with asked; CauseNone: the end was not asked for here
	status closeFrame // what the peer sent, or what it was failed with; code 0: neither
	err    error      // why it ended
	kept   *addrs     // for an OnClose that runs when the kernel knows no addresses any more
	final  bool       // all is known of it; OnClose follows
	ended  bool       // OnClose has returned

	failure error // what Fail was given, to become err

	// Owned by the loop.
	overdue    bool // OnError has not returned, and OnClose follows
	unreadOnce bool // CloseTimeout found something unread
	discarded  int  // bytes of messages that came while closing
	late       int  // how many may come in all; see arrivesLate
	flood      int  // bytes of any kind that came since then; see cameLate
}

// resetExtras are those of all connections that ended because the peer reset them, and had none
// before. Immutable: extrasLocked and endingLocked make others of them.
var (
	resetExtras = &extras{ending: resetEnding}
	resetEnding = &ending{
		why:    CausePeerGone,
		status: closeFrame{code: StatusAbnormalClosure},
		err:    errPeerReset,
		final:  true,
		ended:  true,
	}
)

// extrasLocked returns the extras of ws, made if need be. Many call it: inlined it and
// endingLocked make programs larger by 16 KB.
//
//go:noinline
func (ws *WebSocket) extrasLocked() *extras {
	switch ws.extras {
	case nil:
		ws.extras = new(extras)
	case resetExtras:
		own := *resetExtras
		ws.extras = &own
	}
	return ws.extras
}

// inputLocked returns the input of ws, made if need be.
func (ws *WebSocket) inputLocked() *input {
	x := ws.extrasLocked()
	if x.input == nil {
		x.input = new(input)
	}
	return x.input
}

// peekInput returns the input of ws; nil if there is none. For the loop, which owns
// some of its fields.
func (ws *WebSocket) peekInput() *input {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	return ws.knownInputLocked()
}

func (ws *WebSocket) knownInputLocked() *input {
	if ws.extras == nil {
		return nil
	}
	return ws.extras.input
}

// endingLocked returns the ending of ws, made if need be: in one object with the extras if it
// has none, as most connections that end.
//
//go:noinline
func (ws *WebSocket) endingLocked() *ending {
	if ws.extras == nil {
		both := new(struct {
			extras
			ending
		})
		ws.extras, both.extras.ending = &both.extras, &both.ending
	}
	switch x := ws.extrasLocked(); x.ending {
	case nil:
		x.ending = new(ending)
	case resetEnding:
		own := *resetEnding
		x.ending = &own
	}
	return ws.extras.ending
}

// peekEnding returns the ending of ws; nil if there is none. For the loop, which owns
// some of its fields.
func (ws *WebSocket) peekEnding() *ending {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	return ws.knownEndingLocked()
}

func (ws *WebSocket) knownEndingLocked() *ending {
	if ws.extras == nil {
		return nil
	}
	return ws.extras.ending
}
