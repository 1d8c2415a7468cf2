package service_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// X48: WebSockets and streams that stop reading hold up nobody, and no more than a bound
// waits for each of them. When they read again they have every line, once and in order.
func TestStalledReadersCatchUp(t *testing.T) {
	const sockets, streams, lines = 10, 3, 800
	const most = 4 << 20 // of all that waits for one
	s, ctx := start(t, func(c *config.Config) {
		c.Limits.User.Commands, c.Limits.Address.Commands = config.Rate{}, config.Rate{}
	})
	text := protocol.Data(`"` + strings.Repeat("x", 15000) + `"`) // 12 MB in all: more than what kernels hold
	in := &protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1}
	stalled := make(map[*client]*protocol.Position)
	for i := range sockets {
		c := connect(t, ctx, s, protocol.Encoding(i%2), fmt.Sprint("stalled", i))
		stalled[c] = c.subscribe(*in).Pos
	}
	followed := make(map[*stream]*protocol.Position)
	for i := range streams {
		c := openStream(t, ctx, s, &protocol.Connect{Ref: 1, Version: 1, User: fmt.Sprint("stream", i)}, in)
		followed[c] = until[*protocol.Subscribed](c).Pos
	}
	reader := connect(t, ctx, s, protocol.JSON, "reader")
	pos := reader.subscribe(*in).Pos
	for i := range lines {
		line := &protocol.Publish{Topic: "lobby", ID: fmt.Sprint(i), Data: text}
		if _, err := s.Publish(ctx, "talker", "", line); err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 { // who reads is never far behind
			reader.messages(pos, 100)
		}
	}
	slow := s.Look(100).Slow
	if len(slow) == 0 {
		t.Error("nothing waits for those that do not read")
	}
	for _, q := range slow {
		if q.Bytes > most {
			t.Errorf("%d bytes wait for %s", q.Bytes, q.User)
		}
	}
	for c, pos := range stalled {
		for i, id := range c.messages(pos, lines) {
			if id != fmt.Sprint(i) {
				t.Fatalf("%s instead of %d", id, i)
			}
		}
	}
	for c, pos := range followed {
		for i := range lines {
			if m := c.message(); pos.Follow(m) != protocol.Take || m.ID != fmt.Sprint(i) {
				t.Fatalf("%s instead of %d", m.ID, i)
			}
		}
	}
}
