package dial

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/fanloop-go/fanloop/engine"
)

// screen is the terminal that dial talks on: lines are edited and kept in a
// history, and > marks what was sent, < what was received.
type screen struct {
	*term.Terminal
	in          *os.File
	before      *term.State // of the terminal; nil until enter
	interrupted atomic.Bool // by Ctrl-C
	pinged      atomic.Int64
	colored     bool

	sender  *sender
	options *dialOptions
}

// openScreen is nil unless stdin and stdout are a terminal.
func openScreen(in io.Reader, out io.Writer, o *dialOptions, lines *sender) *screen {
	tty, ok := in.(*os.File)
	if !ok || !isTerminal(in) || !isTerminal(out) || o.raw || o.json || os.Getenv("TERM") == "dumb" {
		return nil
	}
	if !o.waitSet && o.count == 0 {
		o.wait, o.waitSet = 0, true // who sits there has seen the answers
	}
	s := &screen{in: tty, options: o, sender: lines, colored: os.Getenv("NO_COLOR") == ""}
	s.Terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{s.keys(), out}, "> ")
	return s
}

// enter takes every key from the terminal, until leave. Before it, Ctrl-C is the
// system's.
func (s *screen) enter() (err error) {
	s.fit()
	s.before, err = term.MakeRaw(int(s.in.Fd()))
	return err
}

// leave gives the terminal back as it was.
func (s *screen) leave() {
	if s.before != nil {
		_ = term.Restore(int(s.in.Fd()), s.before) // it was a terminal just now
	}
}

// fit tells the line editor how wide the terminal is.
func (s *screen) fit() {
	if width, height, err := term.GetSize(int(s.in.Fd())); err == nil && width > 0 {
		_ = s.SetSize(width, height) // the editor cannot draw: nothing is lost
	}
}

const ctrlC = 3

// keys is what is typed. The line editor takes Ctrl-C for the end of input.
func (s *screen) keys() io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		n, err := s.in.Read(p)
		if bytes.IndexByte(p[:n], ctrlC) >= 0 {
			s.interrupted.Store(true)
		}
		return n, err
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// run sends lines and obeys commands until the input or the connection ends.
func (s *screen) run(ctx context.Context, l *link) error {
	for {
		line, err := s.ReadLine()
		switch {
		case s.interrupted.Load():
			s.leave() // the second Ctrl-C is the system's
			return interrupt(ctx, l)
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("cannot read from the terminal: %w", err)
		}
		s.fit()
		if !s.obey(l, line) {
			return nil // the connection ended; its status says why
		}
	}
}

// interrupt does what Ctrl-C does where the terminal is not set up, and waits
// until that has ended ctx.
func interrupt(ctx context.Context, l *link) error {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(os.Interrupt)
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-l.Done():
	}
	return nil
}

const screenHelp = `  /ping [text]            send a ping; the pong shows how long it took
  /close [code [reason]]  close the connection and leave
  /help                   show this
  //text                  send a line that begins with /
Up and down bring back earlier lines. Ctrl-D closes, Ctrl-C closes with 1001.
`

// obey sends a line, or does what it says if it is a command; false if there is
// no connection any more.
func (s *screen) obey(l *link, line string) bool {
	rest, slash := strings.CutPrefix(line, "/")
	if !slash || strings.HasPrefix(rest, "/") {
		return s.send(l, rest)
	}
	name, argument, _ := strings.Cut(rest, " ")
	switch name {
	case "help":
		_, _ = io.WriteString(s, screenHelp)
	case "ping":
		s.ping(l, argument)
	case "close":
		return s.closeConnection(l, argument)
	default:
		fmt.Fprintf(s, "There is no command /%s: /help lists them; // sends a line that begins with /.\n", name)
	}
	return true
}

func (s *screen) send(l *link, line string) bool {
	message, err := s.sender.message([]byte(line))
	if err != nil {
		fmt.Fprintf(s, "Not sent: %v.\n", err)
		return true
	}
	return l.send(s.sender.op, message, s.sender.unsent, s.sender.drained)
}

func (s *screen) ping(l *link, text string) {
	s.pinged.Store(time.Now().UnixNano())
	if err := l.ping([]byte(text)); err != nil {
		fmt.Fprintf(s, "Not sent: %v.\n", err)
	}
}

// closeConnection begins the close with the code and reason of text; false once
// it is over.
func (s *screen) closeConnection(l *link, text string) bool {
	number, reason, _ := strings.Cut(text, " ")
	code := s.options.closeCode
	if number != "" {
		n, err := strconv.ParseUint(number, 10, 16)
		if code = engine.StatusCode(n); err != nil || !code.ValidOnWire() {
			fmt.Fprintf(s, "%s is no code to close with: want 1000-1003, 1007-1014 or 3000-4999.\n", number)
			return true
		}
	}
	if len(reason) > maxReason {
		fmt.Fprintf(s, "The reason has %d bytes, but a close frame holds at most %d.\n", len(reason), maxReason)
		return true
	}
	s.options.closeCode = code // what the server echoes is in order
	_ = l.Close(code, reason)  // checked above
	<-l.Done()
	return false
}

// format marks what came. A pong tells how long it took since the latest ping.
func (s *screen) format(dst []byte, ev *event) []byte {
	var text []byte
	switch {
	case ev.kind == message && ev.op == engine.Text:
		text = appendVisible(nil, ev.payload)
	case ev.kind == message:
		text = fmt.Appendf(nil, "%d bytes: %s", len(ev.payload), hex.EncodeToString(ev.payload))
	case ev.kind == pinged:
		text = appendVisible([]byte("ping "), ev.payload)
	case ev.kind == ponged && s.pinged.Load() != 0:
		took := time.Since(time.Unix(0, s.pinged.Swap(0)))
		text = fmt.Appendf(appendVisible([]byte("pong "), ev.payload), " after %v", took.Round(10*time.Microsecond))
	default:
		return dst // said on stderr, or the answer to a ping of the engine's own
	}
	if !s.colored {
		return append(append(append(dst, "< "...), text...), '\n')
	}
	return fmt.Appendf(dst, "%s< %s%s\n", s.Escape.Cyan, text, s.Escape.Reset)
}
