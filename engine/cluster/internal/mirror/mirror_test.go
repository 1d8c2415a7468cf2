package mirror

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

func bubble(t *testing.T, options clustertest.Options, run func(t *testing.T, store *clustertest.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, clustertest.NewStore(options)) })
}

// sees returns how many values a node sees of a topic.
func (n *node) sees(topic string) (values int) {
	seen, _ := n.has(topic)
	for _, v := range seen {
		values += len(v)
	}
	return values
}

// What a node has is gone within 15 s when it dies, and Config.Grace after its
// good-bye. One that is cut off keeps what it knows, and is known again when it
// is back.
func TestNodesEnd(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		a, b, c := startNode(t, store), startNode(t, store), startNode(t, store)
		defer a.stop()
		a.watch("room")
		b.put("room", "b", "1")
		c.put("room", "c", "1")
		time.Sleep(time.Second)
		if got := a.sees("room"); got != 2 {
			t.Fatalf("sees %d values, want 2", got)
		}
		b.kill()
		time.Sleep(8 * time.Second)
		if got := a.sees("room"); got != 2 {
			t.Errorf("sees %d values 8 s after a node was heard, want 2", got)
		}
		time.Sleep(7 * time.Second)
		if got := a.sees("room"); got != 1 {
			t.Errorf("sees %d values 15 s after one of two nodes died, want 1", got)
		}
		a.conn.Cut()
		time.Sleep(time.Minute)
		if got := a.sees("room"); got != 1 {
			t.Errorf("sees %d values while it is cut off, want 1", got)
		}
		a.conn.Heal()
		c.conn.Cut()
		time.Sleep(20 * time.Second)
		if got := a.sees("room"); got != 0 {
			t.Errorf("sees %d values of a node that is cut off, want none", got)
		}
		c.conn.Heal()
		time.Sleep(5 * time.Second)
		if got := a.sees("room"); got != 1 {
			t.Errorf("sees %d values of a node that is back, want 1", got)
		}
		c.stop()
		time.Sleep(4 * time.Second)
		if got := a.sees("room"); got != 1 {
			t.Errorf("sees %d values within the grace, want 1", got)
		}
		time.Sleep(2 * time.Second)
		if got := a.sees("room"); got != 0 {
			t.Errorf("sees %d values of a node that has ended, want none", got)
		}
	})
}

// An owner that gives up its last value forgets the topic after a while, and says
// nothing of it any more. A watcher that was cut off meanwhile asks.
func TestOwnerForgetsWhileWatcherIsCutOff(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		a, b := startNode(t, store), startNode(t, store)
		defer a.stop()
		defer b.stop()
		a.watch("room")
		b.put("room", "b", "1")
		time.Sleep(2 * time.Second)
		a.conn.Cut()
		b.put("room", "b", "")
		time.Sleep(linger + time.Second)
		a.conn.Heal()
		time.Sleep(time.Second)
		if got := a.sees("room"); got != 1 {
			t.Fatalf("sees %d values; the test wants the end of one to be missed", got)
		}
		time.Sleep(quietFor)
		if got := a.sees("room"); got != 0 {
			t.Errorf("sees %d values of a node that has none, want none", got)
		}
		before := store.Traffic().Messages
		time.Sleep(20 * time.Second)
		if got := store.Traffic().Messages - before; got > 30 { // beats and wants
			t.Errorf("%d messages in 20 s about nothing", got)
		}
	})
}

// A delta that comes twice, or is overtaken by a later one, changes nothing.
func TestOvertakenDeltas(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		a := startNode(t, store)
		defer a.stop()
		a.watch("room")
		delta := func(seq uint64, value string) []byte {
			m := message{kind: kindDelta, from: ID{1}, seq: seq, sum: sumOf("k", value), n: 1, changes: []change{{"k", value}}}
			return m.encode()
		}
		other := store.Connect()
		for _, data := range [][]byte{delta(1, "one"), delta(3, "three"), delta(2, "two"), delta(3, "three"), delta(1, "one")} {
			if err := other.Send(a.group.deltas("room"), data); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if seen, _ := a.has("room"); seen[ID{1}]["k"] != "three" {
			t.Errorf("sees %v, want three", seen)
		}
	})
}

// A topic that nobody watches costs no messages, however much it changes. Who
// comes to watch gets all of it, in parts, and then what changes only.
func TestTraffic(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		a, b := startNode(t, store), startNode(t, store)
		defer a.stop()
		defer b.stop()
		const count = 20000
		for i := range count {
			a.put("room", fmt.Sprintf("user %05d", i), "1")
		}
		time.Sleep(wantedFor + time.Second) // so long somebody might have wanted it
		before := store.Traffic()
		for i := range 1000 {
			a.put("room", fmt.Sprintf("user %05d", i), "2")
			time.Sleep(10 * time.Millisecond)
		}
		quiet := store.Traffic()
		if got := quiet.Messages - before.Messages; got > 12 { // beats
			t.Errorf("%d messages for nobody", got)
		}
		b.watch("room")
		time.Sleep(time.Second)
		if got := b.sees("room"); got != count {
			t.Fatalf("sees %d values, want %d", got, count)
		}
		whole := store.Traffic()
		if got := (whole.Bytes - quiet.Bytes) / count; got > 20 {
			t.Errorf("%d bytes for each value, want about as many as it has", got)
		}
		a.put("room", "user 00000", "3")
		time.Sleep(time.Second)
		if got := store.Traffic().Bytes - whole.Bytes; got > 500 {
			t.Errorf("%d bytes for one change", got)
		}
		b.conn.Cut()
		a.put("room", "user 00001", "3")
		time.Sleep(time.Second)
		b.conn.Heal()
		lost := store.Traffic()
		time.Sleep(5 * time.Second)
		if seen, _ := b.has("room"); seen[a.group.ID()]["user 00001"] != "3" {
			t.Error("a change that was lost is not repaired")
		}
		if got := store.Traffic().Bytes - lost.Bytes; got > 8000 {
			t.Errorf("%d bytes to repair one value of %d", got, count)
		}
	})
}

// A topic is followed as long as somebody watches or has something, and for a
// while longer; then nothing is left of it.
func TestNothingIsLeftOver(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		a, b := startNode(t, store), startNode(t, store)
		for range 3 {
			a.watch("room")
			b.put("room", "k", "1")
			time.Sleep(time.Second)
			a.unwatch("room")
			b.put("room", "k", "")
			time.Sleep(time.Second)
		}
		if a.conn.Listened() != 3 || b.conn.Listened() != 3 {
			t.Errorf("listen to %d and %d channels, want 3", a.conn.Listened(), b.conn.Listened())
		}
		time.Sleep(linger)
		if a.conn.Listened() != 2 || b.conn.Listened() != 2 {
			t.Errorf("listen to %d and %d channels, want 2", a.conn.Listened(), b.conn.Listened())
		}
		a.stop()
		b.stop()
		if a.conn.Listened() != 0 {
			t.Errorf("listens to %d channels after Close", a.conn.Listened())
		}
		a.group.Lock()
		defer a.group.Unlock()
		if _, err := a.group.Watch("room"); err != cluster.ErrClosed {
			t.Errorf("Watch after Close: %v", err)
		}
		if err := a.group.Put("room", "k", "1"); err != cluster.ErrClosed {
			t.Errorf("Put after Close: %v", err)
		}
	})
}

// Whatever comes over the bus is understood or refused, and what is understood is
// what was sent.
func FuzzDecode(f *testing.F) {
	for _, m := range []message{
		{kind: kindBeat, from: ID{1, 2}},
		{kind: kindBye},
		{kind: kindWant, soon: true},
		{kind: kindDelta, seq: 1, sum: 2, n: 3, changes: []change{{"k", "v"}, {"gone", ""}}},
		{kind: kindAsk, topic: "room", buckets: 2, sums: []uint64{1, 2}},
		{kind: kindAsk, topic: "room", buckets: 4},
		{kind: kindPart, topic: "room", seq: 9, sum: 8, n: 7, buckets: 2, covers: []int{1}, changes: []change{{"k", "v"}}},
	} {
		f.Add(m.encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil {
			return
		}
		again := m.encode()
		if second, err := decode(again); err != nil || !bytes.Equal(second.encode(), again) {
			t.Errorf("%+v became %+v, %v", m, second, err)
		}
	})
}
