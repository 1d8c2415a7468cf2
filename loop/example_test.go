package loop_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/fanloop-go/fanloop/loop"
)

// shout answers in capitals. It embeds its Conn: a connection is one object.
type shout struct {
	loop.Conn
}

func (s *shout) LoopConn() *loop.Conn { return &s.Conn }

func (s *shout) OnOpen() { _ = s.Write(nil, []byte("hello\n")) }

func (s *shout) OnData(b []byte) { // b is borrowed: Write copies what it must
	for i, x := range b {
		if 'a' <= x && x <= 'z' {
			b[i] = x - 'a' + 'A'
		}
	}
	_ = s.Write(nil, b) // leaves when OnData returns; if s is closed, OnClose follows
}

func (s *shout) OnEOF()        { s.Close(loop.CloseFlushed) }
func (s *shout) OnNotify()     {}
func (s *shout) OnTimer()      {}
func (s *shout) OnDrain()      {}
func (s *shout) OnClose(error) {}

// A group listens, and every connection gets a Handler of its own.
func Example() {
	group, err := loop.Start(loop.Config{Loops: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer group.Stop(context.Background())
	ln, err := group.Listen("127.0.0.1:0", loop.ListenConfig{
		Accept: func(*loop.Loop) loop.Handler { return &shout{} },
	})
	if err != nil {
		log.Fatal(err)
	}

	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "is anybody there?")
	_ = nc.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(nc)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer)
	// Output:
	// hello
	// IS ANYBODY THERE?
}
