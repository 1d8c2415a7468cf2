package pull_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// patience bounds every wait of a test, so that what never comes is a failure and
// not a hang. No test depends on how long it is.
const patience = testkit.Patience

// handler is what Serve takes.
type handler = func(ctx context.Context, c *pull.Conn, req *engine.Request) error

// listen starts srv on a free port, ends it with the test, and returns its URL.
func listen(t testing.TB, srv *engine.Server) string {
	t.Helper()
	if srv.Logger == nil {
		srv.Logger = slog.New(slog.DiscardHandler)
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error("closing the server:", err)
		}
	})
	return "ws://" + addr.String() + "/"
}

// serve is listen of a server with one handler.
func serve(t testing.TB, h handler) string {
	t.Helper()
	return listen(t, &engine.Server{OnUpgrade: pull.Serve(h)})
}

// soon is a context for what should be over at once.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// dial opens a Conn and drops it with the test.
func dial(t testing.TB, url string, opt *engine.DialOptions) *pull.Conn {
	t.Helper()
	c, err := pull.Dial(soon(t), url, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseNow()
		within(t, "the end of a dialed connection", c.WebSocket().Done())
	})
	return c
}

// pair returns both sides of a connection. The handler of the server's returns when
// the connection has ended.
func pair(t testing.TB, srv *engine.Server, opt *engine.DialOptions) (server, client *pull.Conn) {
	t.Helper()
	opened := make(chan *pull.Conn, 1)
	srv.OnUpgrade = pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
		opened <- c
		<-ctx.Done()
		return nil
	})
	client = dial(t, listen(t, srv), opt)
	return within(t, "the handler", opened), client
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

// wantText reads a message and compares it.
func wantText(t testing.TB, c *pull.Conn, want string) {
	t.Helper()
	op, data, err := c.Read(soon(t))
	if err != nil || op != engine.Text || string(data) != want {
		t.Fatalf("read %v %.40q %v, want %.40q", op, data, err, want)
	}
}

// send writes a text message.
func send(t testing.TB, c *pull.Conn, text string) {
	t.Helper()
	if err := c.Write(soon(t), engine.Text, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// echo is a handler that sends every message back.
func echo(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := c.Write(ctx, m.Op, m.Data); err != nil {
			return err
		}
	}
	return nil
}
