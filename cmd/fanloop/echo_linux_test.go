package main

import (
	"net"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"
)

// More than the kernel and the queue hold together is sent before anything is
// read: the server has to stop reading, and to lose nothing when it goes on.
func TestClientThatReadsLateGetsItsWholeEcho(t *testing.T) {
	s := startEcho(t)
	ws := s.dial(t, "/", nil)
	const messages, size = 96, 700 << 10
	wrote := make(chan error, 1)
	go func() {
		payload := make([]byte, size)
		for i := range messages {
			payload[0] = byte(i)
			if err := ws.WriteMessage(websocket.BinaryMessage, payload); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	awaitStall(t, ws.NetConn().(*net.TCPConn))
	for i := range messages {
		_, got, err := ws.ReadMessage()
		if err != nil || len(got) != size || got[0] != byte(i) {
			t.Fatalf("message %d: %d bytes, %v", i, len(got), err)
		}
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
}

// awaitStall waits until bytes are stuck both ways and stay so: the server has
// read and echoed as far as it can.
func awaitStall(t *testing.T, c *net.TCPConn) {
	t.Helper()
	var before [2]int
	same := 0
	eventually(t, "a standstill", func() bool {
		time.Sleep(10 * time.Millisecond) // of looking; more of it proves no more
		unsent, unread := queues(t, c)
		now := [2]int{unsent, unread}
		if same++; now != before || unsent == 0 || unread == 0 {
			same = 0
		}
		before = now
		return same == 10
	})
}

// queues are how many bytes the kernel holds of what was written to c and of
// what is to be read from it.
func queues(t *testing.T, c *net.TCPConn) (unsent, unread int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		unsent, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		unread, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ)
	}); err != nil {
		t.Fatal(err)
	}
	return unsent, unread
}
