package relay_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// counted is a Bus that counts who listens.
type counted struct {
	cluster.Bus
	mu      sync.Mutex
	now     int
	changes int // calls of Listen and stop
}

func (b *counted) Listen(c cluster.Channel, r cluster.Receiver) (func(), error) {
	stop, err := b.Bus.Listen(c, r)
	if err != nil {
		return nil, err
	}
	b.add(1)
	return func() { stop(); b.add(-1) }, nil
}

func (b *counted) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now += n
	b.changes++
}

func (b *counted) listening() (now, changes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now, b.changes
}

// Thousands of topics come and go: the bus is listened to for those that have subscribers,
// and for Linger longer, no more and no less, and who comes back within Linger changes
// nothing. In the end nothing is left.
func TestThousandsOfTopicsComeAndGo(t *testing.T) {
	const count, linger = 5000, 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		bus := &counted{Bus: store.Connect()}
		r, err := relay.Join(&engine.Server{}, bus, relay.Config{Linger: linger})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		open := make(map[int]bool)
		left := make(map[int]time.Time) // when the last subscriber did
		expect := func(what string) {
			t.Helper()
			synctest.Wait()
			want := len(open)
			for _, at := range left {
				if time.Since(at) < linger {
					want++
				}
			}
			now, _ := bus.listening()
			if s := r.Stats(); now != want || s.Topics != want || s.Quiet != want-len(open) {
				t.Fatalf("%s: %d listened to, want %d; %+v", what, now, want, s)
			}
		}
		toggle := func(i int) {
			if open[i] {
				r.TopicClosed(fmt.Sprint("topic ", i))
				delete(open, i)
				left[i] = time.Now()
			} else {
				r.TopicOpened(fmt.Sprint("topic ", i))
				open[i] = true
				delete(left, i)
			}
		}
		for i := range count {
			toggle(i)
		}
		expect("all open")
		for i := range count {
			toggle(i)
		}
		time.Sleep(linger - time.Millisecond)
		expect("all closed, a millisecond to go")
		_, before := bus.listening()
		for i := range count / 2 {
			toggle(i)
		}
		expect("half are back")
		if _, after := bus.listening(); after != before {
			t.Errorf("%d changes of the bus for topics that came back in time", after-before)
		}
		for i := count / 2; i < count/2+100; i++ {
			toggle(i)
			toggle(i)
		}
		expect("some were back for a moment")
		time.Sleep(time.Millisecond)
		expect("the others are over")
		random := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			for _, i := range random.Perm(count)[:100] { // each once: the last change of a moment is what counts
				toggle(i)
			}
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			expect("they come and go")
		}
		for i := range count {
			if err := r.Publish(fmt.Sprint("topic ", i), engine.TextMessage("quiet from now on")); err != nil {
				t.Fatal(err)
			}
			if open[i] {
				toggle(i)
			}
		}
		time.Sleep(time.Hour)
		expect("nothing is left")
		sent := store.Traffic().Messages
		if want := 3 * count; sent != want { // each message, and its number twice
			t.Errorf("%d messages on the bus, want %d", sent, want)
		}
		time.Sleep(24 * time.Hour)
		if now := store.Traffic().Messages; now != sent {
			t.Errorf("%d messages more on the bus a day later", now-sent)
		}
	})
}

// BenchmarkTopics reports what a topic costs a Relay that listens to it, and what one
// costs that it has published to lately.
func BenchmarkTopics(b *testing.B) {
	const count = 100_000
	for name, use := range map[string]func(r *relay.Relay, topic string){
		"listened":  (*relay.Relay).TopicOpened,
		"published": func(r *relay.Relay, topic string) { _ = r.Publish(topic, engine.TextMessage("x")) },
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				r, err := relay.Join(&engine.Server{}, deaf{}, relay.Config{Tail: never})
				if err != nil {
					b.Fatal(err)
				}
				names := make([]string, count)
				for i := range names {
					names[i] = fmt.Sprint("topic ", i)
				}
				before := heap()
				for _, topic := range names {
					use(r, topic)
				}
				for name == "listened" && r.Stats().Topics < count {
					time.Sleep(time.Millisecond)
				}
				b.ReportMetric(float64(heap()-before)/count, "B/topic")
				runtime.KeepAlive(names)
				r.Close()
			}
		})
	}
}

// deaf is a Bus that costs nothing.
type deaf struct{}

func (deaf) Send(cluster.Channel, []byte) error { return nil }

func (deaf) Listen(cluster.Channel, cluster.Receiver) (func(), error) { return func() {}, nil }

func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
