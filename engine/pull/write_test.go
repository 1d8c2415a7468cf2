package pull_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// full returns both sides of a connection, and how many messages the client has written
// and the server not read when no more can be written.
func full(t *testing.T) (server, client *pull.Conn, waiting int) {
	t.Helper()
	limits := engine.Limits{MaxQueued: 1 << 20, WriteTimeout: engine.NoLimit}
	server, client = pair(t, &engine.Server{}, &engine.DialOptions{Limits: limits})
	server.WebSocket().PauseReading()
	p := make([]byte, 64<<10)
	for client.WebSocket().Send(engine.Binary, p) == nil {
		waiting++
	}
	return server, client, waiting
}

func TestWriteWaitsForRoom(t *testing.T) {
	server, client, waiting := full(t)
	written := make(chan error, 1)
	go func() { written <- client.Write(context.Background(), engine.Binary, make([]byte, 64<<10)) }()
	interrupt(t, func(ctx context.Context) error { return client.Write(ctx, engine.Binary, make([]byte, 64<<10)) })
	select {
	case err := <-written:
		t.Fatal("it did not wait:", err)
	default:
	}
	server.WebSocket().ResumeReading()
	patient := soon(t)
	for range waiting + 1 {
		if _, data, err := server.Read(patient); err != nil || len(data) != 64<<10 {
			t.Fatal(len(data), err)
		}
	}
	if err := within(t, "the write", written); err != nil {
		t.Error(err)
	}
}

// A message that is larger than the queue waits until that is empty, whatever others
// write.
func TestWriteOfAMessageOverTheQueueHasItsTurn(t *testing.T) {
	server, client, waiting := full(t)
	const size = 3 << 20
	written := make(chan error, 11)
	write := func(n int) { written <- client.Write(context.Background(), engine.Binary, make([]byte, n)) }
	go write(size)
	for range 10 {
		go write(1000)
	}
	server.WebSocket().ResumeReading()
	for range waiting {
		if _, _, err := server.Read(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	for range 11 {
		r, err := server.Reader(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			var n int
			n, err = r.Read(make([]byte, 64<<10))
			total += n
		}
		if err := within(t, "a write", written); err != nil {
			t.Error(err)
		}
	}
	if total != size+10_000 {
		t.Errorf("%d bytes came", total)
	}
}

func TestEndWakesWriters(t *testing.T) {
	cases := map[string]struct {
		end  func(server, client *pull.Conn)
		want func(err error) bool
	}{
		"close": {func(_, client *pull.Conn) { _ = client.Close(cancelled(), 1000, "") }, func(err error) bool { return errors.Is(err, engine.ErrClosed) }},
		"now":   {func(_, client *pull.Conn) { client.CloseNow() }, func(err error) bool { return errors.Is(err, engine.ErrClosed) }},
		"peer closes": {func(server, _ *pull.Conn) { _ = server.Close(cancelled(), 4002, "") }, func(err error) bool {
			var closed *engine.CloseError // not known to a write before the end
			return errors.Is(err, engine.ErrClosed) && (!errors.As(err, &closed) || closed.Code == 4002)
		}},
		"peer goes": {func(server, _ *pull.Conn) { server.CloseNow() }, func(err error) bool {
			return errors.Is(err, engine.ErrAbnormalClosure) && errors.Is(err, engine.ErrClosed)
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server, client, _ := full(t)
			written := make(chan error, 4)
			for range cap(written) {
				go func() { written <- client.Write(context.Background(), engine.Binary, make([]byte, 64<<10)) }()
			}
			interrupt(t, func(ctx context.Context) error { return client.Write(ctx, engine.Binary, make([]byte, 64<<10)) })
			tc.end(server, client)
			for range cap(written) {
				if err := within(t, "a write", written); !tc.want(err) {
					t.Error(err)
				}
			}
		})
	}
}

func TestWriterWritesOneMessage(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	for _, parts := range [][]string{
		nil,
		{""},
		{"one"},
		{"one", "", " two", " three"},
		{strings.Repeat("x", 5000)},
		{"a", strings.Repeat("b", 5000), "c", strings.Repeat("d", 4096), "e"},
		{strings.Repeat("x", 20_000), strings.Repeat("y", 20_000)},
	} {
		w, err := client.Writer(soon(t), engine.Text)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			if n, err := fmt.Fprint(w, part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		interrupt(t, func(ctx context.Context) error { return client.Write(ctx, engine.Text, []byte("in between")) })
		interrupt(t, func(ctx context.Context) error { _, err := client.Writer(ctx, engine.Text); return err })
		if err := client.Ping(soon(t)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("more")); !errors.Is(err, pull.ErrWriterClosed) {
			t.Error("a write after Close:", err)
		}
		if err := w.Close(); !errors.Is(err, pull.ErrWriterClosed) {
			t.Error("a second Close:", err)
		}
		send(t, client, "behind")
		wantText(t, server, strings.Join(parts, ""))
		wantText(t, server, "behind")
	}
}

// A message of which nothing was sent is forgotten; the peer of a part of one is told
// that the rest does not come.
func TestWriterThatCannotFinishIsNoMessage(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	ctx, cancel := context.WithCancelCause(context.Background())
	w, err := client.Writer(ctx, engine.Text)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("forgotten"))
	cancel(errTest)
	if err := w.Close(); !errors.Is(err, errTest) {
		t.Error("Close:", err)
	}
	send(t, client, "usable")
	wantText(t, server, "usable")

	ctx, cancel = context.WithCancelCause(context.Background())
	if w, err = client.Writer(ctx, engine.Text); err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 5000)
	if _, err := w.Write(part); err != nil {
		t.Fatal(err)
	}
	cancel(errTest)
	for range 2 {
		if n, err := w.Write(part); n != 0 || !errors.Is(err, errTest) {
			t.Error("Write:", n, err)
		}
	}
	if err := w.Close(); !errors.Is(err, errTest) {
		t.Error("Close:", err)
	}
	var closed *engine.CloseError
	if _, _, err := server.Read(soon(t)); !errors.As(err, &closed) || closed.Code != engine.StatusInternalError {
		t.Error("the peer got", err)
	}
}

func TestOnlyDataIsWritten(t *testing.T) {
	_, client := pair(t, &engine.Server{}, nil)
	if err := client.Write(soon(t), engine.Continuation, nil); !errors.Is(err, engine.ErrNotData) {
		t.Error(err)
	}
	if _, err := client.Writer(soon(t), engine.Continuation); !errors.Is(err, engine.ErrNotData) {
		t.Error(err)
	}
}

func TestPingWaitsForItsPong(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	client.WebSocket().PauseReading()
	interrupt(t, client.Ping)
	done := make(chan error, 10)
	for range cap(done) {
		go func() { done <- client.Ping(context.Background()) }()
	}
	send(t, client, "behind no ping")
	wantText(t, server, "behind no ping")
	select {
	case err := <-done:
		t.Fatal("a ping without a pong:", err)
	default:
	}
	client.WebSocket().ResumeReading()
	for range cap(done) {
		if err := within(t, "a pong", done); err != nil {
			t.Error(err)
		}
	}
	client.WebSocket().PauseReading()
	go func() { done <- client.Ping(context.Background()) }()
	interrupt(t, client.Ping)
	client.CloseNow()
	if err := within(t, "the ping", done); !errors.Is(err, engine.ErrClosed) {
		t.Error(err)
	}
	within(t, "the end", client.Context().Done())
	if err := client.Ping(soon(t)); !errors.Is(err, engine.ErrClosed) {
		t.Error(err)
	}
}
