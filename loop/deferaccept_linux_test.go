//go:build !portable

package loop

import (
	"testing"
	"time"
)

// A connection that sends nothing is overtaken by one that does. The kernel hands silent ones over
// after some seconds too, so a machine that stood still says nothing.
func TestDeferredConnectionsAreAcceptedWithTheirFirstBytes(t *testing.T) {
	g := start(t, Config{Loops: 1})
	opened := make(chan *scripted, 2)
	ln, err := g.Listen("127.0.0.1:0", ListenConfig{DeferAccept: true, Accept: func(*Loop) Handler {
		s := newScripted()
		opened <- s
		return s
	}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	silent, talker := connectTo(t, ln), connectTo(t, ln)
	if _, err := talker.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	first := receive(t, opened)
	receive(t, first.open)
	if time.Since(began) > deferSeconds*time.Second/2 {
		t.Skip("the machine is too slow for this")
	}
	if from := first.RemoteAddr().String(); from != talker.LocalAddr().String() || len(opened) > 0 {
		t.Error("a connection was accepted before its peer sent anything")
	}
	if _, err := silent.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	receive(t, opened)
}
