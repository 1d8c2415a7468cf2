package dial

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/fanloop-go/fanloop/engine"
)

// maxUnprinted is how much may wait for stdout before reading from the server
// pauses.
const maxUnprinted = 1 << 20

// printer writes messages to stdout from a goroutine of its own, so that a slow
// stdout holds up the server and not the loop.
type printer struct {
	// Immutable.
	w      io.Writer
	want   int // messages that are enough; 0: never
	format format
	enough chan struct{} // closed when want messages came
	wake   chan struct{} // closed by finish
	ended  chan struct{} // closed when everything is written

	// Guarded by mu: the loop appends and the goroutine takes away.
	mu     sync.Mutex
	lines  []byte
	n      int               // messages received
	paused *engine.WebSocket // nil: none

	err error // of stdout; valid once ended is closed
}

func newPrinter(w io.Writer, want int, f format) *printer {
	return &printer{
		w:      w,
		want:   want,
		format: f,
		enough: make(chan struct{}),
		wake:   make(chan struct{}, 1),
		ended:  make(chan struct{}),
	}
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// callbacks are those that print.
func (p *printer) callbacks() engine.Callbacks {
	return engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) {
			p.add(event{kind: message, op: engine.Text, payload: text, ws: ws})
		},
		OnBinary: func(ws *engine.WebSocket, data []byte) {
			p.add(event{kind: message, op: engine.Binary, payload: data, ws: ws})
		},
		OnPing: func(ws *engine.WebSocket, payload []byte) { p.add(event{kind: pinged, payload: payload, ws: ws}) },
		OnPong: func(ws *engine.WebSocket, payload []byte) { p.add(event{kind: ponged, payload: payload, ws: ws}) },
		OnClose: func(ws *engine.WebSocket, code engine.StatusCode, reason string) {
			p.add(event{kind: closed, ws: ws, code: code, reason: reason})
		},
	}
}

// add queues one event for stdout.
func (p *printer) add(ev event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = p.format(p.lines, &ev)
	if ev.kind == message {
		if p.n++; p.n == p.want {
			close(p.enough)
		}
	}
	if len(p.lines) > maxUnprinted && ev.kind != closed {
		p.paused = ev.ws
		ev.ws.PauseReading()
	}
	select {
	case p.wake <- struct{}{}:
	default: // awake already
	}
}

// closer ends a connection.
type closer interface {
	Close(code engine.StatusCode, reason string) error
}

// run writes until finish is called. If that fails, it closes c.
func (p *printer) run(c closer) {
	defer close(p.ended)
	var spare []byte
	for open := true; open; {
		_, open = <-p.wake
		p.mu.Lock()
		lines, paused := p.lines, p.paused
		p.lines, p.paused = spare[:0], nil
		p.mu.Unlock()
		if len(lines) > 0 && p.err == nil {
			if _, p.err = p.w.Write(lines); p.err != nil {
				_ = c.Close(engine.StatusGoingAway, "") // a code that may be sent
			}
		}
		if paused != nil {
			paused.ResumeReading()
		}
		spare = lines
	}
}

// finish writes what is left and returns the error of stdout. No message may
// come any more.
func (p *printer) finish() error {
	close(p.wake)
	<-p.ended
	return p.err
}

// received is the number of messages that came.
func (p *printer) received() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// complete says whether as many messages came as are wanted.
func (p *printer) complete() bool { return p.received() >= p.want }
