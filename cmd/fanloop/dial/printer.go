package dial

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"unicode"
	"unicode/utf8"

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
	raw    bool
	escape bool          // stdout is a terminal: control characters are shown
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

func newPrinter(w io.Writer, want int, raw bool) *printer {
	return &printer{
		w:      w,
		want:   want,
		raw:    raw,
		escape: isTerminal(w),
		enough: make(chan struct{}),
		wake:   make(chan struct{}, 1),
		ended:  make(chan struct{}),
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *printer) onText(ws *engine.WebSocket, text []byte) {
	p.add(ws, text, func(dst, text []byte) []byte {
		if p.escape {
			return append(appendVisible(dst, text), '\n')
		}
		return append(append(dst, text...), '\n')
	})
}

func (p *printer) onBinary(ws *engine.WebSocket, data []byte) {
	p.add(ws, data, func(dst, data []byte) []byte {
		return append(hex.AppendEncode(dst, data), '\n')
	})
}

// add queues one message for stdout.
func (p *printer) add(ws *engine.WebSocket, message []byte, format func(dst, message []byte) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.raw {
		p.lines = append(p.lines, message...)
	} else {
		p.lines = format(p.lines, message)
	}
	if p.n++; p.n == p.want {
		close(p.enough)
	}
	if len(p.lines) > maxUnprinted {
		p.paused = ws
		ws.PauseReading()
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

// appendVisible appends text with control characters written as escapes, so
// that a message is one line and cannot command the terminal.
func appendVisible(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if unicode.IsControl(r) && r != '\t' {
			dst = fmt.Appendf(dst, `\x%02x`, r)
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}
