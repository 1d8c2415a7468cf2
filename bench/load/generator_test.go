package load_test

import (
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
)

func TestEchoCountsEveryMessage(t *testing.T) {
	for _, size := range []int{load.MinSize, 125, 126, 70_000} {
		w, f := work(t, open(t, load.Config{Target: serveFanloop(t, 2), Conns: 50, Size: size, InFlight: 2}))
		if !f.None() || w.Messages == 0 || w.Latency.Count() != int64(w.Messages) || w.ClientMicros == 0 {
			t.Fatalf("size %d: %d messages, %d latencies, faults %+v", size, w.Messages, w.Latency.Count(), f)
		}
	}
}

// reachedAll says that a message has reached everybody.
func reachedAll(m load.Measured) bool { return m.Last.Count() > 0 }

func TestFanoutReachesEveryConnection(t *testing.T) {
	g := open(t, load.Config{Target: serveFanloop(t, 2), Mode: load.Fanout, Conns: 40, Publishers: 3, Burst: 5})
	m := windows(t, g, reachedAll)
	if f := settle(t, g, m); !f.None() || len(m.Published) != 3 {
		t.Fatalf("faults %+v, published %v", f, m.Published)
	}
}

func TestTopicsKeepToThemselves(t *testing.T) {
	g := open(t, load.Config{Target: serveFanloop(t, 2), Mode: load.Fanout, Conns: 12, Publishers: 4, Topics: 4})
	if f := settle(t, g, windows(t, g, reachedAll)); !f.None() {
		t.Fatalf("faults %+v", f)
	}
	// A server that knows no topics is found out.
	g = start(t, load.Config{Target: serveFaults(t, honest), Mode: load.Fanout, Conns: 4, Publishers: 2, Topics: 2})
	if _, err := g.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, f := work(t, g); f.Corrupt == 0 {
		t.Fatal("publishes of another topic were taken")
	}
}

func TestConnectCountsHandshakes(t *testing.T) {
	g := start(t, load.Config{Target: serveFanloop(t, 2), Mode: load.Connect, Conns: 8})
	for range 2 {
		if m := windows(t, g, anything); m.Latency.Count() != int64(m.Messages) {
			t.Fatalf("%d handshakes, %d latencies", m.Messages, m.Latency.Count())
		}
	}
}

func TestStormBringsEverybodyBack(t *testing.T) {
	g := open(t, load.Config{Target: serveFanloop(t, 2), Conns: 60})
	for range 2 {
		o, err := g.Storm(t.Context())
		if err != nil || o.Conns != 60 || o.Latency.Count() != 60 {
			t.Fatalf("%d connections, %d latencies, error %v", o.Conns, o.Latency.Count(), err)
		}
	}
	if _, f := work(t, g); !f.None() {
		t.Fatalf("faults after the storm: %+v", f)
	}
}

func TestSilentConnectionsDoNotCount(t *testing.T) {
	g := open(t, load.Config{Target: serveFanloop(t, 1), Mode: load.Fanout, Conns: 10, Rate: 50, Tolerant: true})
	g.Silence(4)
	if f := settle(t, g, windows(t, g, reachedAll)); !f.None() {
		t.Fatalf("faults %+v", f)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools give back at random under the race detector")
	}
	for _, cfg := range []load.Config{
		{Conns: 20, Loops: 1},
		{Conns: 20, Loops: 1, Mode: load.Fanout},
	} {
		cfg.Target = serveFloor(t)
		g := open(t, cfg)
		// What a measurement itself needs is spread over its messages: it lasts as
		// long as it takes to have many.
		last := window
		m := measure(t, func() (load.Measured, error) {
			last *= 2
			return g.Measure(t.Context(), 0, last, nil)
		}, func(m load.Measured) bool { return m.Messages > 50_000 })
		if perMessage := float64(m.Allocs) / float64(m.Messages); perMessage > 0.05 {
			t.Errorf("%s: %.3f heap objects per message (%d for %d)", cfg.Mode, perMessage, m.Allocs, m.Messages)
		}
	}
}

func TestRemoteDoesWhatAGeneratorDoes(t *testing.T) {
	requests, toServe := io.Pipe()
	answers, toRemote := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- load.Serve(t.Context(), requests, toRemote) }()
	r := load.NewRemote(answers, toServe, func(err error) error { return err })

	if err := r.Start(load.Config{Target: "ws://127.0.0.1:1/", Conns: 1, Size: 1}); err == nil {
		t.Fatal("a message too small was taken")
	} else if _, ok := err.(*load.ConfigError); !ok {
		t.Fatalf("error %v, want a ConfigError", err)
	}
	if err := r.Start(load.Config{Target: serveFanloop(t, 1), Conns: 20, Mode: load.Fanout, Loops: 1}); err != nil {
		t.Fatal(err)
	}
	if o, err := r.Open(); err != nil || o.Conns != 20 || o.Latency.Count() != 20 {
		t.Fatalf("%+v, error %v", o, err)
	}
	ticks := 0
	m := measure(t, func() (load.Measured, error) {
		return r.Measure(0, 600*time.Millisecond, func(load.Tick) { ticks++ })
	}, anything)
	if ticks == 0 {
		t.Fatal("no ticks came")
	}
	if f, err := r.Settle(m.Published); err != nil || !f.None() {
		t.Fatalf("faults %+v, error %v", f, err)
	}
	if o, err := r.Storm(); err != nil || o.Conns != 20 {
		t.Fatalf("%+v, error %v", o, err)
	}
	if err := r.Silence(5); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Dropped(); err != nil || n != 0 {
		t.Fatalf("%d dropped, error %v", n, err)
	}
	toServe.Close()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

func TestLatencySurvivesJSON(t *testing.T) {
	w, _ := work(t, open(t, load.Config{Target: serveFanloop(t, 1), Conns: 2}))
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var back load.Window
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	for _, q := range []float64{0.5, 0.99, 1} {
		if back.Latency.At(q) != w.Latency.At(q) {
			t.Errorf("quantile %g is %d, was %d", q, back.Latency.At(q), w.Latency.At(q))
		}
	}
	if back.Latency.Count() != w.Latency.Count() || back.Messages != w.Messages {
		t.Errorf("%d latencies, were %d", back.Latency.Count(), w.Latency.Count())
	}
}
