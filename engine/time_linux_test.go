//go:build linux && !portable

package engine_test

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// allRead waits until the server has read what c has sent: the kernel may be late.
func allRead(t *testing.T, r *room, c *rawClient, ws *engine.WebSocket) {
	t.Helper()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has read all", func() bool {
		unsent, unread := 0, 0
		_ = raw.Control(func(fd uintptr) { unsent, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		engine.Socket(ws, func(fd int) { unread, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) })
		engine.Turn(r.srv)
		return unsent == 0 && unread == 0
	})
}

// T08: a message is watched by itself, though the one before it began and ended in the
// iteration of the look that watched that.
func TestProgressOfAnEarlierMessageIsNotExpected(t *testing.T) {
	r, clock, ended := timedRoom(t, engine.Callbacks{})
	c, ws := r.join()
	long, half := testkit.Masked(engine.Binary, string(pattern(400<<10))), 200<<10
	for range 3 {
		c.send(long[:half])
		allRead(t, r, c, ws)
		release := engine.Hold(r.srv)
		c.send(long[half:] + long[:half])
		clock.now.Add(int64(timed.PingInterval))
		release()
		allRead(t, r, c, ws)
		c.send(long[half:])
		for sent := 0; sent < 20<<10; sent += 2 << 10 {
			c.send(long[sent : sent+2<<10])
			allRead(t, r, c, ws)
			clock.step(timed.PingInterval)
			notEnded(t, ended)
		}
		c.send(long[20<<10:])
		allRead(t, r, c, ws)
	}
}
