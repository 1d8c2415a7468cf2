package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	gobwas "github.com/gobwas/ws"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// patience bounds every wait of a test, so that what never comes is a failure
// and not a hang. No test depends on how long it is.
const patience = testkit.Patience

// listen starts srv on a free port of 127.0.0.1, ends it with the test, and
// returns host:port.
func listen(t testing.TB, srv *engine.Server) string {
	t.Helper()
	return listenWith(t, srv, "127.0.0.1:0", engine.ListenOptions{})
}

// listenTLS is listen over TLS, as id.
func listenTLS(t testing.TB, srv *engine.Server, id *testkit.Identity) string {
	t.Helper()
	return listenWith(t, srv, "127.0.0.1:0", engine.ListenOptions{TLS: id.Server()})
}

// listenWith is listen with options, on any address.
func listenWith(t testing.TB, srv *engine.Server, addr string, opt engine.ListenOptions) string {
	t.Helper()
	if srv.Logger == nil {
		srv.Logger = slog.New(slog.DiscardHandler)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error("closing the server:", err)
		}
	})
	got, err := srv.ListenWith(addr, opt)
	if err != nil {
		t.Fatal(err)
	}
	return got.String()
}

// echo are callbacks that send every message back.
var echo = engine.Callbacks{
	OnText:   func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) },
	OnBinary: func(ws *engine.WebSocket, data []byte) { _ = ws.Send(engine.Binary, data) },
}

// within is testkit.Within.
func within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	return testkit.Within(t, what, ch)
}

// eventually is testkit.Eventually.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	testkit.Eventually(t, what, cond)
}

// pattern is testkit.Pattern.
func pattern(n int) []byte { return testkit.Pattern(n) }

// socketPath is a path that is short enough for a unix socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fanloop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "ws.sock")
}

// page is what an http.Handler of a test serves.
func page(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %q", r.Method, r.URL.Path, body)
}

// fromServer is one frame of a whole message or control frame, as a server sends it.
func fromServer(op engine.OpCode, payload string) string {
	return string(codec.AppendFrame(nil, op, true, []byte(payload)))
}

// wantGreeting reads the answer to upgradeHead and one text message.
func wantGreeting(t *testing.T, r io.Reader, text string) {
	t.Helper()
	br := bufio.NewReader(r)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); resp.StatusCode != http.StatusSwitchingProtocols || got != testkit.AcceptKey {
		t.Fatalf("status %d, Sec-WebSocket-Accept %q; want 101 and %q", resp.StatusCode, got, testkit.AcceptKey)
	}
	h, err := gobwas.ReadHeader(br)
	if want := int64(len(text)); err != nil || h.OpCode != gobwas.OpText || !h.Fin || h.Length != want {
		t.Fatalf("got the header %+v (%v), want a text of %d bytes", h, err, want)
	}
	got := make([]byte, h.Length)
	if _, err := io.ReadFull(br, got); err != nil || string(got) != text {
		t.Fatalf("got %q (%v), want %q", got, err, text)
	}
}

// lockedBuffer collects what a process writes while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
