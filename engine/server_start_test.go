package engine

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

// F-g: whoever only looks at a server starts no loop, and so changes nothing in
// the process.
func TestGettersDoNotStartTheLoops(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	srv := &Server{Loops: procs}
	for name, look := range map[string]func(){
		"Stats":       func() { srv.Stats() },
		"Memory":      func() { srv.Memory() },
		"Conns":       func() { srv.Conns() },
		"Done":        func() { srv.Done() },
		"Each":        func() { srv.Each(func(*WebSocket) {}) },
		"EachLoop":    func() { srv.EachLoop(func(int) { t.Error("EachLoop: there is no loop yet") }) },
		"Subscribers": func() { srv.Topic("room").Subscribers() },
		"Publish": func() {
			if d, err := srv.Publish("room", TextMessage("")); d != (Delivery{}) || err != nil {
				t.Errorf("Publish: %+v, %v; want no subscriber and no error", d, err)
			}
			if _, err := srv.Publish("room", Message{}); !errors.Is(err, ErrNotData) {
				t.Errorf("Publish of no data: %v, want ErrNotData", err)
			}
		},
	} {
		look()
		if srv.group != nil || runtime.GOMAXPROCS(0) != procs {
			t.Fatalf("%s started the loops; GOMAXPROCS was %d and is %d", name, procs, runtime.GOMAXPROCS(0))
		}
	}
}

// A server that was never started ends without starting, and starts no more.
func TestServerThatNeverStartedEnds(t *testing.T) {
	for name, end := range map[string]func(*Server) error{
		"Close":    (*Server).Close,
		"Shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
	} {
		srv := new(Server)
		done := srv.Done()
		for range 2 {
			if err := end(srv); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Errorf("%s did not close Done", name)
		}
		if _, err := srv.Listen("127.0.0.1:0"); !errors.Is(err, ErrServerClosed) || srv.group != nil {
			t.Errorf("Listen after %s: %v, want ErrServerClosed and no loops", name, err)
		}
	}
}

func TestDefaultsOfLimitsFollowOtherLimits(t *testing.T) {
	for _, k := range []struct {
		limits          Limits
		high, low, most int
	}{
		{Limits{}, 1 << 20, 256 << 10, 16 << 20},
		{Limits{MaxQueued: 64 << 10}, 32 << 10, 8 << 10, 64 << 10}, // F-a
		{Limits{MaxQueued: 1}, 1, 0, 1},
		{Limits{MaxQueued: NoLimit}, 1 << 20, 256 << 10, NoLimit},
		{Limits{MaxQueued: 64 << 10, HighWater: 60 << 10}, 60 << 10, 15 << 10, 64 << 10},
		{Limits{HighWater: 400, LowWater: 300}, 400, 300, 16 << 20},
	} {
		d := k.limits.WithDefaults()
		if d.HighWater != k.high || d.LowWater != k.low || d.MaxQueued != k.most {
			t.Errorf("%+v:\n%+v, want %+v", k.limits, d, k)
		}
		if err := k.limits.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestServerKeepsGOMAXPROCS(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	srv := &Server{Loops: procs + 2, KeepGOMAXPROCS: true}
	if _, err := srv.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if n := runtime.GOMAXPROCS(0); n != procs {
		t.Errorf("GOMAXPROCS was %d and is %d", procs, n)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}
