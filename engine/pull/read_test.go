package pull_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

var errTest = errors.New("the test is done waiting")

// cancelled is a context that is done.
func cancelled() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errTest)
	return ctx
}

// fragment sends a part of a text message.
func fragment(t *testing.T, c *pull.Conn, text string, fin bool) {
	t.Helper()
	if err := c.WebSocket().SendFragment(engine.Text, []byte(text), fin); err != nil {
		t.Fatal(err)
	}
}

// interrupt calls read with a context that ends while it waits, and returns its error.
func interrupt(t *testing.T, read func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	timer := time.AfterFunc(5*time.Millisecond, func() { cancel(errTest) })
	defer timer.Stop()
	if err := read(ctx); !errors.Is(err, errTest) {
		t.Fatalf("the interrupted read returned %v", err)
	}
}

func TestReadReturnsMessagesInOrder(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	for i := range 100 {
		send(t, client, fmt.Sprint(i))
		if i%7 == 0 {
			fragment(t, client, "in ", false)
			fragment(t, client, "", false)
			fragment(t, client, "parts", true)
		}
	}
	for i := range 100 {
		wantText(t, server, fmt.Sprint(i))
		if i%7 == 0 {
			wantText(t, server, "in parts")
		}
	}
}

func TestReadWhoseContextEndsLosesNothing(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	read := func(ctx context.Context) error { _, _, err := server.Read(ctx); return err }
	interrupt(t, read)
	fragment(t, client, "one ", false)
	interrupt(t, read)
	fragment(t, client, "two ", false)
	interrupt(t, read)
	if err := read(cancelled()); !errors.Is(err, errTest) {
		t.Fatal(err)
	}
	fragment(t, client, "three", true)
	send(t, client, "next")
	wantText(t, server, "one two three")
	interrupt(t, func(ctx context.Context) error { wantText(t, server, "next"); return read(ctx) })
	send(t, server, "still usable")
	wantText(t, client, "still usable")
}

// What an interrupted Read has taken belongs to the message that a Reader gets.
func TestReaderGetsWhatAnInterruptedReadHasTaken(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	fragment(t, client, "one ", false)
	interrupt(t, func(ctx context.Context) error { _, _, err := server.Read(ctx); return err })
	fragment(t, client, "two", true)
	r, err := server.Reader(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(r); err != nil || string(all) != "one two" {
		t.Errorf("read %q, %v", all, err)
	}
}

func TestReadReturnsWhatCameBeforeTheEndAndThenWhy(t *testing.T) {
	cases := map[string]struct {
		end  func(c *pull.Conn)
		want func(err error) bool
	}{
		"close": {func(c *pull.Conn) { _ = c.Close(context.Background(), 4001, "bye") }, func(err error) bool {
			var closed *engine.CloseError
			return errors.As(err, &closed) && *closed == engine.CloseError{Code: 4001, Reason: "bye"}
		}},
		"close now": {func(c *pull.Conn) { c.CloseNow() }, func(err error) bool { return errors.Is(err, engine.ErrAbnormalClosure) }},
	}
	for name, tc := range cases {
		for _, cut := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, cut: %v", name, cut), func(t *testing.T) {
				server, client := pair(t, &engine.Server{}, nil)
				send(t, client, "one")
				send(t, client, "two")
				if cut {
					fragment(t, client, "half of a mess", false)
				}
				tc.end(client)
				within(t, "the end", server.Context().Done())
				if err := context.Cause(server.Context()); !tc.want(err) {
					t.Errorf("the cause is %v", err)
				}
				ctx := server.Context() // which is done
				for _, want := range []string{"one", "two"} {
					if _, data, err := server.Read(ctx); err != nil || string(data) != want {
						t.Errorf("read %q, %v", data, err)
					}
				}
				for range 3 {
					if _, data, err := server.Read(ctx); !tc.want(err) {
						t.Errorf("read %q, %v", data, err)
					}
				}
				if err := server.Write(soon(t), engine.Text, nil); !tc.want(err) || !errors.Is(err, engine.ErrClosed) {
					t.Errorf("a write after the end: %v", err)
				}
			})
		}
	}
}

func TestMessagesEndWithTheConnection(t *testing.T) {
	for code, want := range map[engine.StatusCode]string{1000: "", 1001: "", 0: "", 4000: "4000"} {
		server, client := pair(t, &engine.Server{}, nil)
		send(t, client, "one")
		send(t, client, "two")
		if err := client.Close(soon(t), code, ""); err != nil {
			t.Fatal(err)
		}
		var got []string
		var last error
		for m, err := range server.Messages(soon(t)) {
			if last != nil {
				t.Error("something came after an error")
			}
			if last = err; err == nil {
				got = append(got, string(m.Data))
			}
		}
		if strings.Join(got, " ") != "one two" || (last == nil) != (want == "") || last != nil && !strings.Contains(last.Error(), want) {
			t.Errorf("closed with %d: got %q and then %v", code, got, last)
		}
	}
}

func TestSecondReaderGetsAnError(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	got := make(chan string, 1)
	go func() {
		for { // only one of two is refused, whichever it is
			_, data, err := server.Read(context.Background())
			if !errors.Is(err, pull.ErrConcurrentRead) {
				got <- string(data)
				return
			}
		}
	}()
	for {
		_, _, err := server.Read(cancelled())
		if errors.Is(err, pull.ErrConcurrentRead) {
			break
		}
	}
	if _, err := server.Reader(soon(t)); !errors.Is(err, pull.ErrConcurrentRead) {
		t.Error("Reader:", err)
	}
	if _, err := server.NetConn(engine.Text).Read(make([]byte, 1)); !errors.Is(err, pull.ErrConcurrentRead) {
		t.Error("NetConn:", err)
	}
	send(t, client, "for one")
	if text := within(t, "the message", got); text != "for one" {
		t.Errorf("the reader got %q", text)
	}
}

func TestReadBoundsMessages(t *testing.T) {
	parts := func(c *pull.Conn, sizes ...int) error {
		for i, n := range sizes {
			if err := c.WebSocket().SendFragment(engine.Binary, make([]byte, n), i == len(sizes)-1); err != nil {
				return err
			}
		}
		return nil
	}
	for name, sizes := range map[string][]int{"whole": {1001}, "parts": {500, 500, 1}, "long": {200 << 10}} {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t, &engine.Server{Limits: engine.Limits{MaxMessage: 1000}}, nil)
			if err := errors.Join(parts(client, 1000), parts(client, 500, 500), parts(client, sizes...)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, data, err := server.Read(soon(t)); err != nil || len(data) != 1000 {
					t.Fatal(len(data), err)
				}
			}
			for range 2 {
				var broken *engine.ProtocolError
				if _, _, err := server.Read(soon(t)); !errors.As(err, &broken) || broken.Code != engine.StatusMessageTooBig {
					t.Error("read:", err)
				}
			}
			var closed *engine.CloseError
			if _, _, err := client.Read(soon(t)); !errors.As(err, &closed) || closed.Code != engine.StatusMessageTooBig {
				t.Error("the peer was told", err)
			}
		})
	}
}

func TestReadBoundsTheTimeOfAMessage(t *testing.T) {
	server, client := pair(t, &engine.Server{Limits: engine.Limits{ReadTimeout: 10 * time.Millisecond}}, nil)
	send(t, client, "one")
	wantText(t, server, "one")
	fragment(t, client, "begun", false)
	if _, _, err := server.Read(soon(t)); !errors.Is(err, engine.ErrReadTimeout) {
		t.Error("read:", err)
	}
	var closed *engine.CloseError
	if _, _, err := client.Read(soon(t)); !errors.As(err, &closed) || closed.Code != engine.StatusPolicyViolation {
		t.Error("the peer was told", err)
	}
}

func TestReaderTakesAMessageOfAnySize(t *testing.T) {
	const size, part = 8 << 20, 10 << 10
	server, client := pair(t, &engine.Server{Limits: engine.Limits{MaxMessage: 1 << 10}}, nil)
	sent := make(chan error, 1)
	go func() {
		w, err := client.Writer(context.Background(), engine.Binary)
		for n := 0; err == nil && n < size; n += part {
			_, err = w.Write(bytes.Repeat([]byte{byte(n / part)}, part))
		}
		if err == nil {
			err = w.Close()
		}
		sent <- err
	}()
	r, err := server.Reader(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Op() != engine.Binary {
		t.Error(r.Op())
	}
	buf := make([]byte, part)
	total := 0
	for {
		n, err := io.ReadFull(r, buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := bytes.Repeat([]byte{byte(total / part)}, n); !bytes.Equal(buf[:n], want) {
			t.Fatalf("other bytes at %d", total)
		}
		total += n
	}
	if err := within(t, "the writer", sent); err != nil || total != (size+part-1)/part*part {
		t.Errorf("%d bytes, %v", total, err)
	}
}

func TestNextReadDropsTheRestOfAReadersMessage(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	for range 3 {
		fragment(t, client, "begin, ", false)
		fragment(t, client, "middle, ", false)
		fragment(t, client, "end", true)
		send(t, client, "next")
	}
	r, err := server.Reader(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 3)); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	wantText(t, server, "next")
	if n, err := r.Read(make([]byte, 100)); err == nil && n > 4 {
		t.Errorf("the old Reader read %d bytes", n)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, pull.ErrStaleReader) {
		t.Error("the old Reader:", err)
	}
	first, err := server.Reader(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	second, err := server.Reader(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, pull.ErrStaleReader) {
		t.Error("a Reader behind another:", err)
	}
	if all, err := io.ReadAll(second); err != nil || string(all) != "next" {
		t.Errorf("read %q, %v", all, err)
	}
	wantText(t, server, "begin, middle, end")
}

func TestReaderGoesOnWithAnotherContext(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	fragment(t, client, "one ", false)
	ctx, cancel := context.WithCancelCause(context.Background())
	r, err := server.Reader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	time.AfterFunc(5*time.Millisecond, func() { cancel(errTest) })
	if _, err := all.ReadFrom(r); !errors.Is(err, errTest) {
		t.Fatal(err)
	}
	fragment(t, client, "two", true)
	for {
		buf := make([]byte, 2)
		n, err := r.ReadContext(soon(t), buf)
		all.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if all.String() != "one two" {
		t.Errorf("read %q", all.String())
	}
}

func TestReaderOfAMessageThatIsCutSaysSo(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	fragment(t, client, "half", false)
	if err := client.Close(soon(t), 4000, ""); err != nil {
		t.Fatal(err)
	}
	r, err := server.Reader(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	var closed *engine.CloseError
	if string(all) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &closed) {
		t.Errorf("read %q, %v", all, err)
	}
}

func TestCompressedMessagesAreRead(t *testing.T) {
	server, client := pair(t, &engine.Server{Compression: &engine.Compression{}}, &engine.DialOptions{Compression: &engine.Compression{}})
	long := strings.Repeat("compress me ", 20_000)
	for range 5 {
		send(t, client, long)
	}
	for range 5 {
		wantText(t, server, long)
	}
}

// A Reader knows why a message is not whole before the context of the connection is done.
func TestReaderAtTheEndOfTheConnection(t *testing.T) {
	server, client := pair(t, new(engine.Server), nil)
	ws := server.WebSocket()
	if err := ws.SendFragment(engine.Text, []byte("half"), false); err != nil {
		t.Fatal(err)
	}
	r, err := client.Reader(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	why := errors.New("why")
	pull.Finish(client, why)
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, why) {
		t.Errorf("%v, want io.ErrUnexpectedEOF and why", err)
	}
}
