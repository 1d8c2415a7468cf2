package service

import (
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// While nobody looks, an event costs no allocation, and nothing is asked of the
// connection, which has no WebSocket here: it would panic.
func TestTracingCostsNothingWhileNobodyLooks(t *testing.T) {
	s := new(Service)
	c := &conn{service: s}
	command, frame, message := &protocol.Publish{Topic: "t"}, &protocol.OK{}, &cluster.Message{Topic: "t"}
	run := func() {
		c.happened("received", command)
		c.happened("sent", frame)
		c.ended(1000)
		s.published("t", "ann", 1)
		s.delivered(protocol.JSON, message)
	}
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if _, err := s.Trace(t.Context(), Traced{Topic: "t"}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("the connection is not asked while somebody looks: the test above proves nothing")
		}
	}()
	run()
}
