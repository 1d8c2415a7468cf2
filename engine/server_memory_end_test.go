package engine_test

import (
	"context"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// After the end of a server, what it held for handshakes under way, for messages in
// part and for retained messages counts no more.
func TestNothingIsHeldAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(srv *engine.Server){
		"Close": func(srv *engine.Server) { _ = srv.Close() },
		"Shutdown that is cut off": func(srv *engine.Server) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = srv.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := openRoom(t, &engine.Server{Loops: 1})
			r.retain("room", "key", "value")
			head, part := testkit.UpgradeHead(r.addr), string(codec.AppendMaskedFrame(nil, engine.Text, false, pattern(1000)))
			for range 10 {
				dialRaw(t, r.addr).send(head[:60])
				c, _ := r.join()
				c.send(part)
			}
			eventually(t, "all is held", func() bool {
				m := r.srv.Memory()
				return m.Handshakes >= 10*60 && m.Assembly >= 10*1000 && m.Messages > 0 && m.SharedFrames > 0
			})
			end(r.srv)
			within(t, "Done", r.srv.Done())
			r.retain("room", "other", "too late")
			if m, held := r.srv.Memory(), r.srv.Stats().HeldBytes; m != (engine.Memory{}) || held != 0 {
				t.Errorf("after the end it holds %+v, all loops %d", m, held)
			}
		})
	}
}
