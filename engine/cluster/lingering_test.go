package cluster_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// ear is a Receiver that collects.
type ear struct {
	mu   sync.Mutex
	got  []string
	gaps int
}

func (e *ear) Receive(data []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, string(data))
}

func (e *ear) Gap(error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gaps++
}

func (e *ear) expect(t *testing.T, gaps int, want ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.got, want) || e.gaps != gaps {
		t.Errorf("got %q and %d gaps, want %q and %d", e.got, e.gaps, want, gaps)
	}
}

// A channel is listened to once, and for a while after the last receiver left, so
// that who comes and goes changes nothing. Who has left gets nothing.
func TestLingering(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn, other := store.Connect(), store.Connect()
		counted := &countingBus{Bus: conn}
		bus := cluster.Lingering(counted, 10*time.Second)
		ch := cluster.Channel{Kind: "talk", Topic: topic}
		listen := func() (*ear, func()) {
			e := &ear{}
			stop, err := bus.Listen(ch, e)
			if err != nil {
				t.Fatal(err)
			}
			return e, stop
		}
		say := func(data string) {
			if err := other.Send(ch, []byte(data)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		first, stop1 := listen()
		second, stop2 := listen()
		say("one")
		stop1()
		stop1()
		say("two")
		stop2()
		say("three")
		time.Sleep(9 * time.Second)
		third, stop3 := listen()
		time.Sleep(time.Minute)
		say("four")
		conn.Cut()
		conn.Heal()
		first.expect(t, 0, "one")
		second.expect(t, 0, "one", "two")
		third.expect(t, 2, "four")
		if counted.listens != 1 || conn.Listened() != 1 {
			t.Errorf("listened %d times, %d now; want once", counted.listens, conn.Listened())
		}
		stop3()
		time.Sleep(11 * time.Second)
		if conn.Listened() != 0 {
			t.Error("listens for nobody")
		}
		if _, err := bus.Listen(cluster.Channel{}, first); !errors.Is(err, cluster.ErrTopic) {
			t.Errorf("no channel: %v", err)
		}
		listen()
		if counted.listens != 2 {
			t.Errorf("listened %d times, want twice", counted.listens)
		}
	})
}

// countingBus counts calls of Listen that succeed.
type countingBus struct {
	cluster.Bus
	listens int
}

func (c *countingBus) Listen(ch cluster.Channel, r cluster.Receiver) (func(), error) {
	stop, err := c.Bus.Listen(ch, r)
	if err == nil {
		c.listens++
	}
	return stop, err
}

// What is sent without a connection fails, and what others send is a gap.
func TestBusFaults(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn, other := store.Connect(), store.Connect()
		ch := cluster.Channel{Kind: "talk", Topic: topic}
		conn.Cut()
		e := &ear{}
		if _, err := conn.Listen(ch, e); err != nil {
			t.Fatalf("Listen without a connection: %v", err)
		}
		if err := conn.Send(ch, nil); !errors.Is(err, cluster.ErrUnavailable) {
			t.Errorf("Send without a connection: %v", err)
		}
		if err := other.Send(ch, []byte("missed")); err != nil {
			t.Fatal(err)
		}
		conn.Heal()
		if err := other.Send(ch, []byte("heard")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		e.expect(t, 1, "heard")
		conn.Close()
		if err := conn.Send(ch, nil); !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("Send after Close: %v", err)
		}
	})
}
