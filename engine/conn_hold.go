package engine

import (
	"math"

	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// mostHeld is how much one connection may count, so that sums of them do not overflow.
const mostHeld = int(min(uint64(math.MaxInt)/2, 1<<46))

// Hold counts n more bytes of memory that your program keeps because of this connection,
// such as messages that wait for a goroutine; a negative n takes bytes back. They are part
// of Memory.Assembly and count for Limits.MaxMemory: when that is spent, the connections
// that hold most are dropped. When the connection has ended, its bytes are not counted any
// more, and Hold does nothing. Any goroutine.
func (ws *WebSocket) Hold(n int) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.phase() == outlet.Closed {
		return
	}
	in := ws.inputLocked()
	n = min(max(n, -in.kept), mostHeld-in.kept)
	in.kept += n
	ws.conn.Loop().Hold(loop.UseReceived, n)
}
