package main

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gorilla/websocket"
)

// publishAndCheck sends messages from one client and wants every client to get
// each of them, in order, as it came. What follows in checkNothingElse proves
// that none came twice.
func publishAndCheck(t *testing.T, from *websocket.Conn, everybody []*websocket.Conn) {
	t.Helper()
	for i := range 20 {
		send(t, from, kinds[i%2], fmt.Appendf(nil, "B message %d", i))
	}
	for _, size := range sizes {
		send(t, from, websocket.BinaryMessage, letters('B', size))
	}
	for _, c := range everybody {
		for i := range 20 {
			want(t, c, kinds[i%2], fmt.Appendf(nil, "B message %d", i))
		}
		for _, size := range sizes {
			want(t, c, websocket.BinaryMessage, letters('B', size))
		}
	}
	checkNothingElse(t, everybody)
}

// checkNothingElse sends an echo on every connection and wants it next.
func checkNothingElse(t *testing.T, everybody []*websocket.Conn) {
	t.Helper()
	for _, c := range everybody {
		send(t, c, websocket.TextMessage, []byte("only this"))
		want(t, c, websocket.TextMessage, []byte("only this"))
	}
}

// connect opens n connections that the server knows of: each had an echo.
func connect(t *testing.T, s *server, n int) []*websocket.Conn {
	t.Helper()
	conns := make([]*websocket.Conn, n)
	for i := range conns {
		conns[i] = s.dial(t)
	}
	checkNothingElse(t, conns)
	return conns
}

func TestPublishReachesEveryClientOnce(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		conns := connect(t, s, 3)
		for _, from := range conns {
			publishAndCheck(t, from, conns)
		}
	})
}

// With two loops, connections and publishers are on both. How SO_REUSEPORT
// spreads eight connections is up to the kernel; a run where all land on one
// loop is possible and proves less.
func TestPublishReachesClientsOnOtherLoops(t *testing.T) {
	for name := range peers {
		t.Run(name, func(t *testing.T) {
			conns := connect(t, start(t, peerCommand(t, name, "2")), 8)
			for _, from := range conns {
				publishAndCheck(t, from, conns)
			}
		})
	}
}

func TestPublishAndEchoKeepTheirOrderInOneWrite(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		conns := connect(t, s, 2)
		var wire []byte
		for i := range 10 {
			wire = append(wire, masked(ws.OpText, fmt.Appendf(nil, "B%d", i))...)
			wire = append(wire, masked(ws.OpText, fmt.Appendf(nil, "echo %d", i))...)
		}
		if _, err := conns[0].NetConn().Write(wire); err != nil {
			t.Fatal(err)
		}
		var published, echoed int // how the two mix is up to the server
		for range 20 {
			_, got, err := conns[0].ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			switch string(got) {
			case fmt.Sprintf("B%d", published):
				published++
			case fmt.Sprintf("echo %d", echoed):
				echoed++
			default:
				t.Fatalf("got %q after %d published and %d echoed", got, published, echoed)
			}
		}
		for i := range 10 {
			want(t, conns[1], websocket.TextMessage, fmt.Appendf(nil, "B%d", i))
		}
		checkNothingElse(t, conns)
	})
}

// The order makes those leave who were moved into the place of one who left.
func TestPublishGoesOnWhenClientsLeave(t *testing.T) {
	for name, command := range commands() {
		t.Run(name, func(t *testing.T) {
			if name != "floor" {
				command = func(t *testing.T) *exec.Cmd { return peerCommand(t, name, "1") }
			}
			s := start(t, command(t))
			conns := connect(t, s, 8)
			conns[2].Close() // without a close frame
			staying := slices.Concat(conns[:2], conns[3:])
			for _, leaving := range []*websocket.Conn{conns[0], conns[7], conns[6], conns[3]} {
				leave(t, leaving)
				staying = slices.DeleteFunc(staying, func(c *websocket.Conn) bool { return c == leaving })
				publishAndCheck(t, staying[0], staying)
			}
			publishAndCheck(t, staying[1], append(staying, connect(t, s, 2)...))
		})
	}
}

func leave(t *testing.T, c *websocket.Conn) {
	t.Helper()
	send(t, c, websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Fatalf("after the close frame: %v, want close 1000", err)
	}
	c.Close()
}

// The server's writes to the slow client are partial, over and over.
func TestPublishReachesAClientWithASmallBuffer(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		conns := connect(t, s, 2)
		slow := s.dialWith(t, "/", func(c *net.TCPConn) error { return c.SetReadBuffer(256 << 10) })
		checkNothingElse(t, []*websocket.Conn{slow})
		big := letters('B', 1<<20)
		var readers sync.WaitGroup
		for _, c := range append(conns, slow) {
			readers.Go(func() {
				for range 12 {
					if kind, got, err := c.ReadMessage(); err != nil || kind != websocket.BinaryMessage || !bytes.Equal(got, big) {
						t.Errorf("got kind %d, %s, %v", kind, short(got), err)
						return
					}
				}
			})
		}
		for range 12 {
			send(t, conns[0], websocket.BinaryMessage, big)
		}
		readers.Wait()
		checkNothingElse(t, append(conns, slow))
	})
}

// A client that never reads is dropped or left behind; the others go on.
func TestAStalledClientDoesNotStopTheOthers(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		conns := connect(t, s, 3)
		reading := conns[:2] // conns[2] never reads again
		big := letters('B', 1<<20)
		for range 48 {
			send(t, reading[0], websocket.BinaryMessage, big)
			for _, c := range reading {
				want(t, c, websocket.BinaryMessage, big)
			}
		}
		checkNothingElse(t, reading)
	})
}
