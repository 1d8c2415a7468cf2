package natsbroker_test

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
)

// quiet is a Listener that is not interested.
type quiet struct{}

func (quiet) Live(cluster.Message) {}
func (quiet) Gap(error)            {}

// The leader of a stream is asked again and again while a topic of it is followed. When it was
// silent for longer than a few seconds, as because it was stopped, there is a gap before it counts
// as heard, although the connection was up all the time.
func TestSilentLeaderIsAGap(t *testing.T) {
	server := startChild(t)
	var missed atomic.Int32
	b := connectTo(t, natsbroker.Config{URL: server.url(), Shards: 1, ProbeEvery: time.Hour, OnGap: func(reason error) {
		if errors.Is(reason, natsbroker.ErrNotHeard) {
			missed.Add(1)
		}
	}})
	stop, err := b.Follow(topic, quiet{})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	heard := func() { // a question that is asked from now on
		t.Helper()
		from := time.Now()
		until(t, "the leader is heard", func() bool { return b.Heard(topic).After(from) })
	}
	heard()
	before := missed.Load()
	server.signal(syscall.SIGSTOP)
	until(t, "nothing is heard", func() bool { return time.Since(b.Heard(topic)) > 4*time.Second })
	server.signal(syscall.SIGCONT)
	heard()
	if missed.Load() == before {
		t.Error("it is heard, and no gap was reported")
	}
}
