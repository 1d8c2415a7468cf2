package service_test

import (
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// A command whose question to the store panics is answered by internal, as often as it comes,
// and the node serves on.
func TestPanicInAQuestionEndsOneCommand(t *testing.T) {
	s, ctx := start(t, nil)
	service.Break(s)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	for range service.CrewSize + 1 {
		ann.send(&protocol.Publish{Ref: 3, Topic: "lobby", ID: "edit", Kind: protocol.KindEdit, Target: &protocol.Target{Offset: 1, ID: "x"}, Data: protocol.Data(`1`)})
		if got := ann.failure(); got.Ref != 3 || got.Code != protocol.Internal || got.Message != "" {
			t.Errorf("%+v", got)
		}
	}
	ann.publish("lobby", "next")
}
