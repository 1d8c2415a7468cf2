package engine_test

import (
	"io"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// flooded writes messages of 1 MiB until the server takes no more. It fails after 256.
func flooded(t *testing.T, c *rawClient) {
	t.Helper()
	message := testkit.Masked(engine.Binary, string(pattern(1<<20)))
	for range 256 {
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c.Conn, message); err != nil {
			return
		}
	}
	t.Fatal("the server took 256 MiB that it discards")
}

// Who sends on in place of an answer to the close frame is cut, though no time passes.
func TestFloodOfAClosingConnectionIsCut(t *testing.T) {
	p := inPhase(t, "closing")
	flooded(t, p.c)
	wantEnding(t, p.ended, engine.StatusAbnormalClosure, "", engine.ErrCloseTimeout)
}

// Who has much under way when the close frame comes finishes the closing handshake.
func TestWhatIsUnderWayDoesNotCutAClosingConnection(t *testing.T) {
	p := inPhase(t, "closing")
	for range 12 {
		p.c.send(testkit.Masked(engine.Binary, string(pattern(1<<20))))
	}
	p.c.send(testkit.Masked(codec.Close, closePayload(4003, "you too")))
	p.c.wantEOF()
	_ = p.c.Close()
	wantEnding(t, p.ended, 4003, "you too", nil)
}
