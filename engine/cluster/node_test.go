package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

// What is published reaches subscribers on all nodes, the publisher's too, in one
// order (C07).
func TestOneOrderOnAllNodes(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		var subs []*cluster.Subscription
		var nodes []*cluster.Node
		for range 3 {
			n := startNode(t, store.Connect(), cluster.Config{})
			nodes, subs = append(nodes, n), append(subs, subscribe(t, n, cluster.Position{}))
		}
		var publishers sync.WaitGroup
		for i, n := range nodes {
			publishers.Go(func() {
				for _, id := range numbers(i*100, i*100+49) {
					if _, err := n.Publish(t.Context(), topic, id, nil); err != nil {
						t.Errorf("Publish: %v", err)
					}
				}
			})
		}
		publishers.Wait()
		synctest.Wait()
		first := rest(t, subs[0])
		if len(first) != 150 {
			t.Errorf("%d messages instead of 150: %v", len(first), first)
		}
		for _, s := range subs[1:] {
			expect(t, rest(t, s), first...)
		}
	})
}

// A client goes on at another node with the message after its position, whether
// that node has it in memory or not (X15).
func TestResumeOnAnotherNode(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		publish(t, conn, numbers(1, 10)...)
		at := publish(t, conn, "m11")
		publish(t, conn, numbers(12, 400)...)
		n := startNode(t, store.Connect(), cluster.Config{})
		for range 2 {
			s := subscribe(t, n, at)
			expect(t, rest(t, s), numbers(12, 400)...)
			expect(t, rest(t, s))
			s.Close()
		}
		if got := n.Stats().Reads; got > 4 { // 390 messages are two pages
			t.Errorf("%d reads of history", got)
		}
	})
}

// The position of an empty topic counts: what is published after it is recovered
// (X15 b), on a node that knew the topic empty and on one that did not.
func TestResumeFromTheEmptyTopic(t *testing.T) {
	bubble(t, clustertest.Options{MaxPerTopic: 3}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		if _, err := conn.Publish(t.Context(), "another", "", nil); err != nil {
			t.Fatal(err)
		}
		n := startNode(t, store.Connect(), cluster.Config{})
		s := subscribe(t, n, cluster.Position{})
		empty := s.Position()
		expect(t, rest(t, s))
		publish(t, conn, "m1", "m2")
		synctest.Wait()
		expect(t, rest(t, s), "m1", "m2")
		again := startNode(t, store.Connect(), cluster.Config{})
		for _, n := range []*cluster.Node{n, again} {
			expect(t, rest(t, subscribe(t, n, empty)), "m1", "m2")
			start := cluster.Position{Epoch: empty.Epoch}
			expect(t, rest(t, subscribe(t, n, start)), "m1", "m2")
		}
		publish(t, conn, "m3", "m4") // m1 is not kept
		synctest.Wait()
		expect(t, rest(t, subscribe(t, startNode(t, store.Connect(), cluster.Config{}), empty)), "LOST")
	})
}

// A position that is not there (C11) is lost, explicitly and once, and what comes
// next is delivered.
func TestLostPositions(t *testing.T) {
	bubble(t, clustertest.Options{MaxPerTopic: 5}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		old := publish(t, conn, "m1")
		end := publish(t, conn, numbers(2, 20)...)
		n := startNode(t, store.Connect(), cluster.Config{})
		for name, at := range map[string]cluster.Position{
			"older than retention": old,
			"in the future":        {Epoch: end.Epoch, Offset: end.Offset + 100, ID: "x"},
			"wrong epoch":          {Epoch: "other", Offset: end.Offset, ID: end.ID},
			"another id":           {Epoch: end.Epoch, Offset: end.Offset, ID: "x"},
			"nothing in front":     {Epoch: end.Epoch, Offset: end.Offset},
		} {
			s := subscribe(t, n, at)
			batch, err := s.Next(t.Context(), cluster.Budget{})
			if err != nil || !batch.Lost || batch.Position != end || len(batch.Messages) > 0 {
				t.Errorf("%s: %+v, %v; want Lost at %v", name, batch, err, end)
			}
			id := publish(t, conn, "after "+name)
			synctest.Wait()
			expect(t, rest(t, s), "after "+name)
			end = id
			s.Close()
		}
	})
}

// A live message that is lost is read from history when the next one does not
// follow the last, and after CheckEvery if none comes.
func TestHolesAreRepaired(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn, cut := store.Connect(), store.Connect()
		lose := lossy{cut, new(atomic.Bool)}
		n := startNode(t, lose, cluster.Config{CheckEvery: time.Minute})
		s := subscribe(t, n, cluster.Position{})
		publish(t, conn, "m1")
		synctest.Wait()
		expect(t, rest(t, s), "m1")
		before := n.Stats().Holes
		lose.on.Store(true)
		publish(t, conn, "m2", "m3")
		synctest.Wait()
		expect(t, rest(t, s))
		lose.on.Store(false)
		publish(t, conn, "m4")
		synctest.Wait()
		expect(t, rest(t, s), "m2", "m3", "m4")
		if got := n.Stats().Holes - before; got != 1 {
			t.Errorf("%d holes, want 1", got)
		}
		lose.on.Store(true)
		publish(t, conn, "m5")
		time.Sleep(3 * time.Minute) // two checks at least
		expect(t, rest(t, s), "m5")
		if got := n.Stats().Resets; got != 0 {
			t.Errorf("%d resets, want none", got)
		}
	})
}

// lossy is a broker that loses all live messages while it is on.
type lossy struct {
	cluster.Broker
	on *atomic.Bool
}

func (b lossy) Follow(topic string, l cluster.Listener) (func(), error) {
	return b.Broker.Follow(topic, lossyListener{l, b.on})
}

type lossyListener struct {
	cluster.Listener
	on *atomic.Bool
}

func (l lossyListener) Live(m cluster.Message) {
	if !l.on.Load() {
		l.Listener.Live(m)
	}
}

// notify is called when there is something after Next has returned everything,
// and once until then.
func TestNotifyOnce(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		n := startNode(t, store.Connect(), cluster.Config{})
		var calls atomic.Int32
		s, err := n.Subscribe(t.Context(), topic, cluster.Position{}, func() { calls.Add(1) })
		if err != nil {
			t.Fatal(err)
		}
		for i := range int32(3) {
			expect(t, rest(t, s))
			publish(t, conn, "a"+string('0'+i), "b"+string('0'+i))
			synctest.Wait()
			if got := calls.Load(); got != i+1 {
				t.Errorf("%d calls, want %d", got, i+1)
			}
			expect(t, rest(t, s), "a"+string('0'+i), "b"+string('0'+i))
		}
	})
}

// A batch is within its budget, and a subscriber that falls out of memory goes on
// from history (C15).
func TestSlowReaderGoesOnFromHistory(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		n := startNode(t, store.Connect(), cluster.Config{Ring: cluster.Budget{Messages: 10}, Page: cluster.Budget{Messages: 7}})
		s := subscribe(t, n, cluster.Position{})
		expect(t, rest(t, s))
		publish(t, conn, numbers(1, 100)...)
		synctest.Wait()
		var got []string
		for more := true; more; {
			batch, err := s.Next(t.Context(), cluster.Budget{Messages: 3})
			if err != nil || len(batch.Messages) > 3 {
				t.Fatalf("%d messages, %v", len(batch.Messages), err)
			}
			for _, m := range batch.Messages {
				got = append(got, m.ID)
			}
			more = batch.More
		}
		expect(t, got, numbers(1, 100)...)
	})
}

// Messages that are larger than a page, each, are read all the same: the one at
// the position does not hide the next.
func TestMessagesLargerThanAPage(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn := store.Connect()
		lose := lossy{store.Connect(), new(atomic.Bool)}
		n := startNode(t, lose, cluster.Config{Ring: cluster.Budget{Bytes: 1000}, Page: cluster.Budget{Bytes: 1000}})
		s := subscribe(t, n, publish(t, conn, "m0"))
		for i, id := range numbers(1, 9) {
			lose.on.Store(i%4 > 0) // holes too
			if _, err := conn.Publish(ctx, topic, id, make([]byte, 700)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		var got []string
		for len(got) < 9 {
			batch, err := s.Next(ctx, cluster.Budget{})
			if err != nil || batch.Lost || ctx.Err() != nil {
				t.Fatalf("after %v: %+v, %v", got, batch, err)
			}
			if len(batch.Messages) == 0 {
				time.Sleep(time.Second)
			}
			for _, m := range batch.Messages {
				got = append(got, m.ID)
			}
		}
		expect(t, got, numbers(1, 9)...)
	})
}

// A topic of which all has expired is not lost for those who follow it: nothing
// was stored that they do not have.
func TestExpiryIsNoLossForThoseWhoHaveEverything(t *testing.T) {
	bubble(t, clustertest.Options{MaxAge: 10 * time.Minute}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		n := startNode(t, store.Connect(), cluster.Config{})
		s := subscribe(t, n, cluster.Position{})
		at := publish(t, conn, "m1")
		synctest.Wait()
		expect(t, rest(t, s), "m1")
		time.Sleep(time.Hour)
		publish(t, conn, "m2")
		synctest.Wait()
		expect(t, rest(t, s), "m2")
		expect(t, rest(t, subscribe(t, n, at)), "m2") // the node knows that nothing is between
		expect(t, rest(t, subscribe(t, startNode(t, store.Connect(), cluster.Config{}), at)), "LOST")
	})
}

// After a restart of the broker (C04, C12): with its store nobody loses anything;
// with a new or an older one the position is lost, also when it is published
// past it.
func TestBrokerRestarts(t *testing.T) {
	for name, restart := range map[string]struct {
		change func(*clustertest.Store, clustertest.Snapshot)
		want   []string
	}{
		"with its store": {func(*clustertest.Store, clustertest.Snapshot) {}, numbers(11, 30)},
		"wiped":          {func(s *clustertest.Store, _ clustertest.Snapshot) { s.Wipe() }, []string{"LOST"}},
		"restored":       {func(s *clustertest.Store, old clustertest.Snapshot) { s.Restore(old) }, []string{"LOST"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
				conn := store.Connect()
				n := startNode(t, store.Connect(), cluster.Config{})
				s := subscribe(t, n, cluster.Position{})
				publish(t, conn, numbers(1, 5)...)
				old := store.Snapshot()
				publish(t, conn, numbers(6, 10)...)
				synctest.Wait()
				expect(t, rest(t, s), numbers(1, 10)...)
				away := s.Position()
				store.Stop()
				if _, err := n.Publish(t.Context(), topic, "", nil); !errors.Is(err, cluster.ErrUnavailable) {
					t.Errorf("Publish while the broker is down: %v", err)
				}
				restart.change(store, old)
				store.Start()
				publish(t, conn, numbers(11, 30)...) // before a node looks at it
				time.Sleep(10 * time.Second)
				expect(t, rest(t, s), restart.want...)
				expect(t, rest(t, subscribe(t, startNode(t, store.Connect(), cluster.Config{}), away)), restart.want...)
				publish(t, conn, "m31")
				synctest.Wait()
				expect(t, rest(t, s), "m31")
			})
		})
	}
}

// A store that was replaced while nobody lost a connection is noticed by the next
// read, not only by the check.
func TestNewEpochIsNoticedByReading(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		lose := lossy{store.Connect(), new(atomic.Bool)}
		n := startNode(t, lose, cluster.Config{Ring: cluster.Budget{Messages: 2}, CheckEvery: time.Hour})
		begin := publish(t, conn, "m0")
		old := subscribe(t, n, begin)
		publish(t, conn, numbers(1, 9)...)
		synctest.Wait()
		lose.on.Store(true)
		store.Wipe()
		end := publish(t, conn, numbers(1, 20)...)
		began := time.Now()
		expect(t, rest(t, old), "LOST")
		if took := time.Since(began); took > time.Minute || old.Position() != end {
			t.Errorf("noticed after %v, at %v; the end is %v", took, old.Position(), end)
		}
	})
}

// slowReads is a broker whose answers take so long that all others wait for one.
type slowReads struct{ cluster.Broker }

func (b slowReads) Head(ctx context.Context, topic string) (cluster.Head, error) {
	time.Sleep(50 * time.Millisecond)
	return b.Broker.Head(ctx, topic)
}

func (b slowReads) Read(ctx context.Context, topic string, from uint64, max cluster.Budget) ([]cluster.Message, error) {
	time.Sleep(50 * time.Millisecond)
	return b.Broker.Read(ctx, topic, from, max)
}

// Many come back at once (C14): each gets what it missed, and history is read
// once.
func TestRecoveryStormReadsOnce(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		at := publish(t, conn, "m0")
		publish(t, conn, numbers(1, 100)...)
		n := startNode(t, slowReads{store.Connect()}, cluster.Config{})
		var clients sync.WaitGroup
		for range 10_000 {
			clients.Go(func() {
				s, err := n.Subscribe(t.Context(), topic, at, func() {})
				if err != nil {
					t.Errorf("Subscribe: %v", err)
					return
				}
				defer s.Close()
				expect(t, rest(t, s), numbers(1, 100)...)
			})
		}
		clients.Wait()
		if got := n.Stats(); got.Reads != 1 || got.Heads != 1 {
			t.Errorf("%+v, want one read of history", got)
		}
	})
}

// Many come back too late, and history is read once for all who are not further
// behind than the first (C11).
func TestStormOfLostPositionsReadsOnce(t *testing.T) {
	bubble(t, clustertest.Options{MaxPerTopic: 10}, func(t *testing.T, store *clustertest.Store) {
		conn := store.Connect()
		var old []cluster.Position
		for _, id := range numbers(1, 30) {
			old = append(old, publish(t, conn, id))
		}
		n := startNode(t, store.Connect(), cluster.Config{Ring: cluster.Budget{Messages: 5}})
		for range 50 {
			for _, at := range old[:20] {
				s := subscribe(t, n, at)
				expect(t, rest(t, s), "LOST")
				s.Close()
			}
		}
		kept := subscribe(t, n, old[20])
		expect(t, rest(t, kept), numbers(22, 30)...)
		if got := n.Stats().Reads; got > 2 {
			t.Errorf("%d reads of history, want one for those who are lost, and one", got)
		}
	})
}

// After a gap every topic is compared with the broker, by a few goroutines.
func TestManyTopicsShareGoroutines(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		const topics = 500
		n := startNode(t, store.Connect(), cluster.Config{Requests: 4})
		var subs []*cluster.Subscription
		for i := range topics {
			s, err := n.Subscribe(t.Context(), fmt.Sprint("room ", i), cluster.Position{}, func() {})
			if err != nil {
				t.Fatal(err)
			}
			subs = append(subs, s)
		}
		before := runtime.NumGoroutine()
		store.Stop()
		for range 100 {
			if more := runtime.NumGoroutine() - before; more > 20 {
				t.Fatalf("%d goroutines more while %d topics wait for the broker", more, topics)
			}
			time.Sleep(10 * time.Millisecond)
		}
		store.Start()
		for i, s := range subs {
			name := fmt.Sprint("room ", i)
			if _, err := n.Publish(t.Context(), name, name, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
			got := rest(t, s)
			for range 100 {
				if len(got) > 0 {
					break
				}
				time.Sleep(100 * time.Millisecond)
				got = rest(t, s)
			}
			expect(t, got, name)
		}
	})
}

// A topic is followed until some time after its last subscriber left, and once
// however many subscribe (C09).
func TestNothingIsLeftOver(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		broker := store.Connect()
		n := startNode(t, broker, cluster.Config{Linger: time.Minute})
		for range 3 {
			a, b := subscribe(t, n, cluster.Position{}), subscribe(t, n, cluster.Position{})
			a.Close()
			a.Close()
			time.Sleep(2 * time.Minute)
			if got := broker.Followed(); got != 1 {
				t.Errorf("%d topics followed with a subscriber", got)
			}
			b.Close()
			time.Sleep(30 * time.Second)
			if got := broker.Followed(); got != 1 {
				t.Errorf("%d topics followed within Linger", got)
			}
		}
		time.Sleep(2 * time.Minute)
		if got := broker.Followed() + n.Stats().Topics; got != 0 {
			t.Errorf("%d topics left over", got)
		}
	})
}

// Closing ends calls that wait for a broker that does not answer.
func TestCloseEndsWhatWaits(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := cluster.NewNode(store.Connect(), cluster.Config{})
		open := subscribe(t, n, cluster.Position{})
		store.Stop()
		failed := make(chan error)
		go func() {
			_, err := n.Subscribe(t.Context(), "other", cluster.Position{}, func() {})
			failed <- err
		}()
		ahead, err := n.Join(topic, cluster.Position{Epoch: "x", Offset: 1, ID: "x"}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := ahead.Next(t.Context(), cluster.Budget{})
			failed <- err
		}()
		go func() { // it does not know whether it has the end
			_, err := n.Subscribe(t.Context(), topic, cluster.Position{}, func() {})
			failed <- err
		}()
		synctest.Wait()
		n.Close()
		for range 3 {
			if err := <-failed; !errors.Is(err, cluster.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
		if _, err := open.Next(t.Context(), cluster.Budget{}); !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("Next after Close: %v", err)
		}
		if _, err := n.Subscribe(t.Context(), topic, cluster.Position{}, func() {}); !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("Subscribe after Close: %v", err)
		}
		open.Close()
		n.Close()
	})
}

// A call that waits ends with its context, and leaves nothing behind.
func TestContextEndsWhatWaits(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store.Connect(), cluster.Config{})
		store.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Subscribe(ctx, topic, cluster.Position{}, func() {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Minute)
		if got := n.Stats().Topics; got != 0 {
			t.Errorf("%d topics left over", got)
		}
	})
}

// Names and ids that cannot be are refused.
func TestNamesAreChecked(t *testing.T) {
	bubble(t, clustertest.Options{}, func(t *testing.T, store *clustertest.Store) {
		n := startNode(t, store.Connect(), cluster.Config{})
		for _, name := range []string{"", string(make([]byte, cluster.MaxTopic+1))} {
			if _, err := n.Publish(t.Context(), name, "", nil); !errors.Is(err, cluster.ErrTopic) {
				t.Errorf("Publish: %v", err)
			}
			if _, err := n.Subscribe(t.Context(), name, cluster.Position{}, func() {}); !errors.Is(err, cluster.ErrTopic) {
				t.Errorf("Subscribe: %v", err)
			}
		}
		for _, id := range []string{"a\r\nb", string(make([]byte, cluster.MaxID+1))} {
			if _, err := n.Publish(t.Context(), topic, id, nil); !errors.Is(err, cluster.ErrID) {
				t.Errorf("Publish with id %q: %v", id, err)
			}
		}
	})
}
