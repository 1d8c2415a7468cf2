package service_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
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

// The nodes tell their clients of one another, and let the pages of one another in, also
// when that other one has ended: a client whose node is killed finds the next one.
func TestClientsKnowOtherNodes(t *testing.T) {
	i := 0
	first, second, ctx := two(t, func(c *config.Config) {
		i++
		c.Address = fmt.Sprintf("http://n%d.example", i)
	})
	ann := dial(t, ctx, first, protocol.JSON)
	for { // until they have heard of one another
		ann.send(&protocol.Connect{Ref: 1, Version: 1, User: "ann"})
		if got := await[*protocol.Connected](ann); slices.Equal(got.Addresses, []string{"http://n2.example"}) {
			break
		}
		ann = dial(t, ctx, first, protocol.JSON)
	}
	bob := connect(t, ctx, second, protocol.JSON, "bob")
	for { // until the other one has heard of it, too
		policy := get(t, ctx, "http://"+second.Addr()+"/").Header.Get("Content-Security-Policy")
		if strings.HasSuffix(policy, "; connect-src 'self' http://n1.example ws://n1.example") {
			break
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- first.Shutdown(ctx) }()
	if got := await[*protocol.Closing](ann); got.Address != "http://n2.example" {
		t.Errorf("%+v", got)
	}
	ann.ws.CloseNow()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	ws, err := pull.Dial(ctx, "ws://"+second.Addr()+"/v1/socket", &engine.DialOptions{Origin: "http://n1.example"})
	if err != nil {
		t.Fatal("the page of the node that ended:", err)
	}
	ws.CloseNow()
	<-ws.WebSocket().Done()
	go func() { ended <- second.Shutdown(ctx) }()
	if got := await[*protocol.Closing](bob); got.Address != "" {
		t.Errorf("there is no other: %+v", got)
	}
	bob.ws.CloseNow()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
