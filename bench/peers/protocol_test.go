package main

import (
	"bytes"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gorilla/websocket"
)

// sizes are the length forms of §5.2 and their edges.
var sizes = []int{1, 125, 126, 65535, 65536}

var kinds = []int{websocket.TextMessage, websocket.BinaryMessage}

// onEveryServer runs check against a fresh process of every peer, and the floor.
func onEveryServer(t *testing.T, check func(*testing.T, *server)) {
	for name, command := range commands() {
		t.Run(name, func(t *testing.T) { check(t, start(t, command(t))) })
	}
}

func TestUpgradesAtAnyPath(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		for _, path := range []string{"/", "/any/path", "/chat?room=1&x=%20"} {
			c := s.dialPath(t, path)
			send(t, c, websocket.TextMessage, []byte(path))
			want(t, c, websocket.TextMessage, []byte(path))
		}
	})
}

func TestEchoesAsItCame(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		c := s.dial(t)
		for _, size := range sizes {
			for _, kind := range kinds {
				send(t, c, kind, letters('a', size))
				want(t, c, kind, letters('a', size))
			}
		}
		notFirst := []byte("aB")
		send(t, c, websocket.BinaryMessage, notFirst)
		want(t, c, websocket.BinaryMessage, notFirst)
	})
}

// An echo is one frame, or a client that compares frames would see an error.
func TestEchoesAFrameAsOneFrame(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		c := s.dial(t)
		for _, size := range sizes {
			send(t, c, websocket.BinaryMessage, letters('a', size))
			h, err := ws.ReadHeader(c.NetConn())
			if err != nil {
				t.Fatal(err)
			}
			if !h.Fin || h.OpCode != ws.OpBinary || h.Length != int64(size) {
				t.Fatalf("%d bytes came back as %+v", size, h)
			}
			rest := make([]byte, size)
			for got := 0; got < size; {
				n, err := c.NetConn().Read(rest[got:])
				if err != nil {
					t.Fatal(err)
				}
				got += n
			}
		}
	})
}

func TestEchoesHoweverTheBytesAreCut(t *testing.T) {
	var messages [][]byte
	var wire []byte
	for _, size := range []int{1, 40, 126, 5000, 2, 70000, 3} {
		messages = append(messages, letters('a', size))
		wire = append(wire, masked(ws.OpBinary, letters('a', size))...)
	}
	onEveryServer(t, func(t *testing.T, s *server) {
		for _, step := range []int{7, 1000, 65536, len(wire)} {
			c := s.dial(t)
			done := make(chan error, 1)
			go func() {
				for piece := range slices.Chunk(wire, step) {
					if _, err := c.NetConn().Write(piece); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			for _, m := range messages {
				want(t, c, websocket.BinaryMessage, m)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The end of a frame comes only after the echo of what was complete before it.
func TestEchoDoesNotWaitForTheFrameBehindIt(t *testing.T) {
	first, second := masked(ws.OpText, []byte("first")), masked(ws.OpText, letters('a', 300))
	onEveryServer(t, func(t *testing.T, s *server) {
		c := s.dial(t)
		for cut := 1; cut < len(second); cut += 1 + cut/10 {
			if _, err := c.NetConn().Write(slices.Concat(first, second[:cut])); err != nil {
				t.Fatal(err)
			}
			want(t, c, websocket.TextMessage, []byte("first"))
			if _, err := c.NetConn().Write(second[cut:]); err != nil {
				t.Fatal(err)
			}
			want(t, c, websocket.TextMessage, letters('a', 300))
		}
	})
}

// An unsolicited pong right behind a message must not hold back its echo.
func TestEchoDoesNotWaitForThePongBehindIt(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		c := s.dial(t)
		for range 20 {
			wire := slices.Concat(masked(ws.OpText, []byte("hello")), masked(ws.OpPong, []byte("x")))
			if _, err := c.NetConn().Write(wire); err != nil {
				t.Fatal(err)
			}
			want(t, c, websocket.TextMessage, []byte("hello"))
		}
	})
}

func TestAnswersPingAndClose(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		c := s.dial(t)
		var pong string
		c.SetPongHandler(func(payload string) error { pong = payload; return nil })
		send(t, c, websocket.PingMessage, []byte("are you there"))
		send(t, c, websocket.TextMessage, []byte("then this"))
		want(t, c, websocket.TextMessage, []byte("then this"))
		if pong != "are you there" {
			t.Fatalf("the pong carries %q", pong)
		}
		send(t, c, websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Fatalf("after the close frame: %v, want close 1000", err)
		}
	})
}

// In the floor and the gnet peer the framing is this module's own. The other
// peers' answers to nonsense are their own affair.
func TestNonsenseEndsOnlyTheConnectionItCameOn(t *testing.T) {
	nonsense := map[string][]byte{
		"a length with the highest bit": append([]byte{0x82, 0xff, 0xff}, make([]byte, 64)...),
		"an endless frame":              append([]byte{0x82, 0xff, 0x7f}, make([]byte, 64)...),
		"an unmasked frame":             []byte("\x82\x04abcd and more"),
	}
	for _, name := range []string{"floor", "gnet"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, commands()[name](t))
			other := s.dial(t)
			for what, wire := range nonsense {
				c := s.dial(t)
				if _, err := c.NetConn().Write(wire); err != nil {
					t.Fatal(err)
				}
				if _, _, err := c.ReadMessage(); err == nil || os.IsTimeout(err) {
					t.Fatalf("%s: %v, want the connection closed", what, err)
				}
				checkNothingElse(t, []*websocket.Conn{other})
			}
		})
	}
}

func TestGivesBackMemoryAndGoesOn(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		c := s.dial(t)
		for range 3 {
			s.signal(t, syscall.SIGUSR1)
			checkNothingElse(t, []*websocket.Conn{c})
		}
	})
}

func TestEndsOnSIGTERM(t *testing.T) {
	onEveryServer(t, func(t *testing.T, s *server) {
		connect(t, s, 2)
		s.signal(t, syscall.SIGTERM)
		ended := make(chan error, 1)
		go func() { ended <- s.cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("still there")
		}
	})
}

func masked(op ws.OpCode, payload []byte) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, true, bytes.Clone(payload))))
}
