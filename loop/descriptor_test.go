package loop

import (
	"context"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A Write to a connection that has ended must not reach the one that got its
// descriptor number.
func TestLateWriteNeverReachesAReusedDescriptor(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		for range 100 {
			if writeLate(t, b) {
				return
			}
		}
		t.Error("no connection got the number of the one before: nothing is proven")
	})
}

// writeLate is false if another connection did not get the number: a lower one
// became free, of what an earlier test has closed.
func writeLate(t *testing.T, b Backend) (proven bool) {
	g := start(t, Config{Backend: b})
	first := newScripted()
	peer := serveOne(t, g, nil, first)
	number := first.descriptor()
	// Every other descriptor is opened before first gives its number back.
	accepted := make(chan *scripted, 1)
	ln := listen(t, g, nil, func(*Loop) Handler { s := newEcho(); accepted <- s; return s })
	addr := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: ln.Addr().(*net.TCPAddr).Port}
	second, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(second)
	writing := make(chan error, 4)
	for range cap(writing) {
		go func() {
			for {
				if err := first.Write([]byte("FOREIGN"), nil); err != nil {
					writing <- err
					return
				}
			}
		}()
	}
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	first.Close(CloseNow)
	receive(t, first.closed)
	for range cap(writing) {
		wantErr(t, receive(t, writing), ErrClosed)
	}

	if err := unix.Connect(second, addr); err != nil {
		t.Fatal(err)
	}
	heir := receive(t, accepted)
	receive(t, heir.open)
	if heir.descriptor() != number {
		return false
	}
	wantErr(t, first.Write(nil, []byte("FOREIGN")), ErrClosed)
	wantErr(t, first.WriteShared(NewShared([]byte("FOREIGN"))), ErrClosed)
	first.PauseRead()
	first.ResumeRead()
	first.Close(CloseReset)
	if a, b := first.RemoteAddr(), first.LocalAddr(); a != nil || b != nil {
		t.Errorf("the addresses %v and %v are the heir's", a, b)
	}
	if _, err := unix.Write(second, []byte("mine")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := unix.Read(second, buf)
	if err != nil || string(buf[:n]) != "mine" {
		t.Errorf("the heir of the number answered %q, %v", buf[:n], err)
	}
	return true
}

func TestDescriptorIsOpenUntilTheEndOfTheIteration(t *testing.T) {
	g := start(t, Config{})
	s := newScripted()
	serveOne(t, g, nil, s)
	number := s.descriptor()
	s.onData = nil
	onLoop(t, s.Loop(), func() {
		s.enter()
		s.asked = CloseNow
		s.leave()
		if !numberTaken(number) {
			t.Error("the number is free while stale events may name it")
		}
	})
	receive(t, s.closed)
	onLoop(t, s.Loop(), func() {}) // OnClose still has the descriptor, for the addresses
	if numberTaken(number) {
		t.Error("the descriptor is still open after the iteration of OnClose")
	}
	stop(t, g)
	if err := g.Stop(context.Background()); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}
