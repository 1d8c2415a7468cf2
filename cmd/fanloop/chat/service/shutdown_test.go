package service_test

import (
	"errors"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
)

// A node that ends says so, and how long to wait before the next connection.
func TestShutdownSaysWhenToComeBack(t *testing.T) {
	s, ctx := start(t, nil)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(ctx) }()
	got := await[*protocol.Closing](ann)
	if got.Code != protocol.Draining || got.Retry != protocol.Later || got.Delay == 0 {
		t.Errorf("%+v", got)
	}
	_, _, err := ann.ws.Read(ctx)
	var closed *engine.CloseError
	if !errors.As(err, &closed) || closed.Code != engine.StatusCode(protocol.Draining.Close()) {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
