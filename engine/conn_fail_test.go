package engine_test

import (
	"errors"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// Fail sends what is queued and then its own code, whatever the peer does, and reports one error everywhere.
func TestFailReportsItsError(t *testing.T) {
	opened := make(chan *engine.WebSocket, 1)
	cb, ended := record(engine.Callbacks{OnText: func(ws *engine.WebSocket, _ []byte) {
		ws.SendText("queued")
		if err := ws.Fail(1005, "", nil); !errors.Is(err, engine.ErrInvalidStatus) {
			t.Error("a code that may not be sent:", err)
		}
		_ = ws.Fail(4000, "first", errRule)
		_ = ws.Fail(4001, "second", nil)
		_ = ws.Close(4002, "third")
		if err := ws.SendText("late"); !errors.Is(err, engine.ErrClosed) {
			t.Error("a send after Fail:", err)
		}
		if ws.Err() != errRule || ws.Cause() != engine.CauseFailed {
			t.Error("after Fail:", ws.Err(), ws.Cause())
		}
	}})
	srv := &engine.Server{Callbacks: cb, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
	c := openNarrow(t, listen(t, srv))
	c.send(frame(0x81, "go") + frame(0x81, "discarded"))
	c.wantFrame(codec.Text, true, "queued")
	c.wantFrame(codec.Close, true, closePayload(4000, "first"))
	c.send(frame(0x88, closePayload(4003, "an answer")))
	_ = c.Close()
	e := within(t, "OnClose", ended)
	ws := within(t, "OnUpgrade", opened)
	if e.code != 4000 || e.reason != "first" || e.err != errRule || ws.Cause() != engine.CauseFailed {
		t.Errorf("ended with %+v and %q", e, ws.Cause())
	}
}

// Without an error of its own, Fail makes one of code and reason.
func TestFailWithoutAnErrorMakesOne(t *testing.T) {
	cb, ended := record(engine.Callbacks{OnText: func(ws *engine.WebSocket, _ []byte) {
		_ = ws.Fail(engine.StatusPolicyViolation, "one login only", nil)
	}})
	c := openNarrow(t, listen(t, &engine.Server{Callbacks: cb}))
	c.send(frame(0x81, "login"))
	c.wantClose(engine.StatusPolicyViolation)
	_ = c.Close()
	var broken *engine.ProtocolError
	if e := within(t, "OnClose", ended); !errors.As(e.err, &broken) || broken.Code != e.code || broken.Reason != "one login only" {
		t.Errorf("ended with %+v", e)
	}
}
