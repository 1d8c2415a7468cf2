package sharedloop

import (
	"log/slog"
	"testing"
	"time"
)

func TestLoopRunsWhileSomebodyUsesIt(t *testing.T) {
	var l Loop
	log := slog.New(slog.DiscardHandler)
	first, err := l.Acquire(log)
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Acquire(log)
	if err != nil || second != first {
		t.Fatalf("the second user gets another group (%v)", err)
	}
	l.Release()
	select {
	case <-first.Done():
		t.Error("it stopped while somebody used it")
	default:
	}
	l.Release()
	select {
	case <-first.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("it does not stop after the last user")
	}
	third, err := l.Acquire(log)
	if err != nil || third == first {
		t.Errorf("a new user gets a group that has stopped (%v)", err)
	}
	l.Release()
	<-third.Done()
}
