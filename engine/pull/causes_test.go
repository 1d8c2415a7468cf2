package pull_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

var errStore = errors.New("no such table")

// A connection that pull, or the handler, ends for a fault counts by it: in Stats, Cause, Err and OnError.
func TestFaultsOfPullHaveTheirCause(t *testing.T) {
	read := func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
		_, _, err := c.Read(ctx)
		return err
	}
	returns := func(err error) handler {
		return func(context.Context, *pull.Conn, *engine.Request) error { return err }
	}
	broken := &engine.ProtocolError{Code: engine.StatusPolicyViolation, Reason: "too many rooms"}
	for name, c := range map[string]struct {
		handler handler
		begins  string // what the client sends, of a message that does not end
		cause   engine.CloseCause
		code    engine.StatusCode
		is      error // wrapped by Err; nil: a *ProtocolError of code
	}{
		"too long": {read, "more than ten", engine.CauseTooBig, engine.StatusMessageTooBig, nil},
		"unfinished": {read, "hal", engine.CauseReadTimeout, engine.StatusPolicyViolation,
			engine.ErrReadTimeout},
		"other kind": {func(_ context.Context, c *pull.Conn, _ *engine.Request) error {
			_, err := io.Copy(io.Discard, c.NetConn(engine.Binary))
			return err
		}, "text", engine.CauseProtocolError, engine.StatusUnsupportedData, nil},
		"error of the handler":  {returns(errStore), "", engine.CauseFailed, engine.StatusInternalError, errStore},
		"of another connection": {returns(engine.ErrPongTimeout), "", engine.CauseFailed, engine.StatusInternalError, engine.ErrPongTimeout},
		"refused by the handler": {returns(broken), "", engine.CausePolicy, engine.StatusPolicyViolation,
			broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reported, opened := make(chan error, 2), make(chan *engine.WebSocket, 1)
			srv := &engine.Server{Limits: engine.Limits{MaxMessage: 10}}
			if c.cause == engine.CauseReadTimeout {
				srv.Limits.ReadTimeout = 100 * time.Millisecond
			}
			serve := pull.Serve(c.handler)
			srv.OnUpgrade = func(ws *engine.WebSocket, req *engine.Request) { serve(ws, req); opened <- ws }
			srv.Callbacks.OnError = func(_ *engine.WebSocket, err error) { reported <- err }
			client := dial(t, listen(t, srv), nil)
			ws := within(t, "OnUpgrade", opened)
			if c.begins != "" {
				if err := client.WebSocket().SendFragment(engine.Text, []byte(c.begins), false); err != nil {
					t.Fatal(err)
				}
			}
			var closed *engine.CloseError
			if _, _, err := client.Read(soon(t)); !errors.As(err, &closed) || closed.Code != c.code {
				t.Errorf("the client read %v, want %d", err, c.code)
			}
			within(t, "the end", ws.Done())
			eventually(t, "the end counts", func() bool { return srv.Conns() == 0 })
			if got := srv.Stats().Ended; ws.Cause() != c.cause || !maps.Equal(got, map[engine.CloseCause]uint64{c.cause: 1}) {
				t.Errorf("ended with %q, counted %v, want %q", ws.Cause(), got, c.cause)
			}
			if err := ws.Err(); !isFault(err, c.is, c.code) {
				t.Errorf("Err is %v", err)
			}
			if len(reported) != 1 {
				t.Fatalf("OnError was called %d times", len(reported))
			}
			if err := <-reported; !isFault(err, c.is, c.code) {
				t.Errorf("OnError got %v", err)
			}
		})
	}
}

// isFault reports whether err is want, or for nil a *ProtocolError of code.
func isFault(err, want error, code engine.StatusCode) bool {
	var broken *engine.ProtocolError
	return want != nil && errors.Is(err, want) || want == nil && errors.As(err, &broken) && broken.Code == code
}

// A handler that closes on purpose is no fault.
func TestCloseErrorOfAHandlerIsNoFault(t *testing.T) {
	opened := make(chan *engine.WebSocket, 1)
	serve := pull.Serve(func(context.Context, *pull.Conn, *engine.Request) error {
		return &engine.CloseError{Code: 4000, Reason: "bye"}
	})
	client := dial(t, listen(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
		serve(ws, req)
		opened <- ws
	}}), nil)
	_, _, _ = client.Read(soon(t))
	ws := within(t, "OnUpgrade", opened)
	within(t, "the end", ws.Done())
	if ws.Cause() != engine.CauseClosed || ws.Err() != nil {
		t.Error("ended with", ws.Cause(), ws.Err())
	}
}
