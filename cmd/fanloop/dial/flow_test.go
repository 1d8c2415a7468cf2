package dial

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/engine"
)

// watchedReader notes how much is unsent when more is read.
type watchedReader struct {
	io.Reader
	unsent func() int
	most   int
}

// R01, from the client's side.
func TestStdinWaitsForAServerThatDoesNotRead(t *testing.T) {
	begin := make(chan struct{})
	const lines, size, unsent = 1024, 32 << 10, 1 << 20
	url := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		<-begin
		for i := range lines {
			if _, p, err := ws.ReadMessage(); err != nil || len(p) != size-1 {
				t.Errorf("line %d: %d bytes, %v", i, len(p), err)
				break
			}
		}
		_, _, _ = ws.ReadMessage() // the close
	})
	line := strings.Repeat("x", size-1) + "\n"
	in := &watchedReader{Reader: strings.NewReader(strings.Repeat(line, lines))}
	s := newSender(in, &dialOptions{limits: engine.Limits{MaxMessage: engine.NoLimit, HighWater: unsent}})
	ws, err := engine.Dial(t.Context(), url, &engine.DialOptions{
		Callbacks: engine.Callbacks{OnDrain: s.onDrain},
		Limits:    engine.Limits{MaxQueued: -1, HighWater: unsent},
	})
	if err != nil {
		t.Fatal(err)
	}
	in.unsent = ws.Buffered
	sent := make(chan error)
	go func() { sent <- s.run(&link{ws: ws}) }()
	eventually(t, "more is unsent than may be", func() bool { return ws.Buffered() > unsent })
	close(begin)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if most := unsent + 2*size; in.most > most {
		t.Errorf("stdin was read with %d bytes unsent, want at most %d", in.most, most)
	}
	_ = ws.Close(engine.StatusNormalClosure, "")
	<-ws.Done()
}

func TestServerWaitsForAStdoutThatDoesNotRead(t *testing.T) {
	const messages, size = 256, 64 << 10
	url := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		for range messages {
			if err := ws.WriteMessage(websocket.BinaryMessage, make([]byte, size)); err != nil {
				t.Error(err)
				return
			}
		}
		_, _, _ = ws.ReadMessage()
	})
	r, w := io.Pipe()
	p := newPrinter(w, messages, formatRaw)
	ws, err := engine.Dial(t.Context(), url, &engine.DialOptions{Callbacks: p.callbacks()})
	if err != nil {
		t.Fatal(err)
	}
	go p.run(ws)
	eventually(t, "a pause", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.paused != nil
	})
	p.mu.Lock()
	if len(p.lines) > maxUnprinted+size || p.n == messages {
		t.Errorf("%d bytes of %d messages wait for stdout, want at most %d", len(p.lines), p.n, maxUnprinted+size)
	}
	p.mu.Unlock()
	if n, err := io.CopyN(io.Discard, r, messages*size); err != nil || n != messages*size {
		t.Errorf("%d bytes, %v", n, err)
	}
	<-p.enough
	_ = ws.Close(engine.StatusNormalClosure, "")
	<-ws.Done()
	if err := p.finish(); err != nil {
		t.Error(err)
	}
}

func TestTerminalSeesControlCharactersAsEscapes(t *testing.T) {
	for text, want := range map[string]string{
		"plain ä€😀\tx":   "plain ä€😀\tx",
		"a\x1b[31mb":     `a\x1b[31mb`,
		"two\nlines\r":   `two\x0alines\x0d`,
		"\x00\x7f\u009b": `\x00\x7f\x9b`,
	} {
		if got := string(appendVisible(nil, []byte(text))); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestEscapesAreForTerminalsOnly(t *testing.T) {
	text := event{kind: message, op: engine.Text, payload: []byte("a\nb")}
	for _, k := range []struct {
		format format
		want   string
	}{{formatVisible, "a\\x0ab\n"}, {formatLine, "a\nb\n"}, {formatRaw, "a\nb"}} {
		if got := string(k.format(nil, &text)); got != k.want {
			t.Errorf("%q, want %q", got, k.want)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if isTerminal(r) || isTerminal(w) || isTerminal(io.Discard) {
		t.Error("a pipe is taken for a terminal")
	}
	_, _ = r.Close(), w.Close()
}
