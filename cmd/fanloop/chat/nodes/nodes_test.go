package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/nodes"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node answers with its name and the question, and counts.
type node struct {
	*nodes.Nodes
	asked atomic.Int64
}

func open(t *testing.T, store *clustertest.Store, n int) (all []*node) {
	t.Helper()
	for i := range n {
		one := new(node)
		name := fmt.Sprint("n", i)
		var err error
		one.Nodes, err = nodes.New(nodes.Config{Bus: store.Connect(), Name: name, ForgetAfter: time.Hour, Answer: func(question []byte) []byte {
			one.asked.Add(1)
			time.Sleep(time.Millisecond)
			return append([]byte(name+":"), question...)
		}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	for slices.ContainsFunc(all, func(one *node) bool { return len(one.Names()) < n }) {
		time.Sleep(time.Second)
	}
	return all
}

func bodies(answers []nodes.Answer) (all []string) {
	for _, a := range answers {
		all = append(all, string(a.Body))
	}
	slices.Sort(all)
	return all
}

// All nodes answer, each once, though letters are lost and come twice.
func TestAllNodesAnswerOnce(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			store := clustertest.NewStore(clustertest.Options{Seed: seed, Faults: clustertest.Faults{Lose: 0.3, Repeat: 0.3, Delay: 300 * time.Millisecond}})
			all := open(t, store, 4)
			for round := range 5 {
				for _, n := range all {
					n.asked.Store(0)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				question := fmt.Sprint("q", round)
				answers, err := all[round%len(all)].Ask(ctx, []byte(question))
				cancel()
				want := []string{"n0:" + question, "n1:" + question, "n2:" + question, "n3:" + question}
				if got := bodies(answers); err != nil || !slices.Equal(got, want) {
					t.Errorf("seed %d: %v, %v", seed, got, err)
				}
				for i, n := range all {
					if got := n.asked.Load(); got != 1 {
						t.Errorf("seed %d: node %d was asked %d times", seed, i, got)
					}
				}
			}
			for _, n := range all {
				n.Close()
			}
		})
	}
}

// A question whose answer panics ends no node, neither who asks nor who is asked: it has an
// empty answer, and the next one is answered.
func TestAnswerThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		var panics atomic.Int64
		var all []*nodes.Nodes
		for range 2 {
			n, err := nodes.New(nodes.Config{Bus: store.Connect(), Answer: func(question []byte) []byte {
				if string(question) == "bad" {
					panic("a fault of the program")
				}
				return question
			}, OnPanic: func(err *loop.PanicError) {
				if err.Value == "a fault of the program" && strings.Contains(string(err.Stack), "TestAnswerThatPanics") {
					panics.Add(1)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			all = append(all, n)
		}
		for len(all[0].Names()) < 2 {
			time.Sleep(time.Second)
		}
		for question, want := range map[string]string{"bad": "", "good": "good"} {
			answers, err := all[0].Ask(t.Context(), []byte(question))
			if got := bodies(answers); err != nil || !slices.Equal(got, []string{want, want}) {
				t.Errorf("%s: %q, %v", question, got, err)
			}
		}
		if panics.Load() != 2 {
			t.Errorf("%d panics were told", panics.Load())
		}
	})
}

// A node that is cut off is waited for, and then given up; one that ends is not waited
// for.
func TestNodesThatAreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		conns := []*clustertest.Conn{store.Connect(), store.Connect()}
		var all []*nodes.Nodes
		for i, conn := range conns {
			n, err := nodes.New(nodes.Config{Bus: conn, Name: fmt.Sprint("n", i), Answer: func([]byte) []byte { return []byte("yes") }})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
		time.Sleep(time.Second)
		ask := func(within time.Duration) (int, error) {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			answers, err := all[0].Ask(ctx, nil)
			return len(answers), err
		}
		if n, err := ask(time.Second); n != 2 || err != nil {
			t.Errorf("%d answers, %v", n, err)
		}
		conns[1].Cut()
		if n, err := ask(5 * time.Second); n != 1 || !errors.Is(err, nodes.ErrUnconfirmed) {
			t.Errorf("cut off: %d answers, %v", n, err)
		}
		if n, err := ask(time.Minute); n != 1 || err != nil {
			t.Errorf("given up: %d answers, %v", n, err)
		}
		conns[1].Heal()
		time.Sleep(2 * time.Second)
		if n, err := ask(time.Second); n != 2 || err != nil {
			t.Errorf("back: %d answers, %v", n, err)
		}
		all[1].Close()
		if n, err := ask(time.Second); n != 1 || err != nil {
			t.Errorf("ended: %d answers, %v", n, err)
		}
		all[0].Close()
	})
}

// A node that has just begun asks those too that it has not heard yet.
func TestNewNodeAsksAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{Faults: clustertest.Faults{Delay: 300 * time.Millisecond}})
		first := open(t, store, 1)[0]
		defer first.Close()
		time.Sleep(time.Minute)
		second, err := nodes.New(nodes.Config{Bus: store.Connect(), Name: "new", Settle: 1500 * time.Millisecond, Answer: func([]byte) []byte { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		if answers, err := second.Ask(t.Context(), []byte("q")); err != nil || len(answers) != 2 {
			t.Errorf("%v, %v", answers, err)
		}
	})
}

// Each node has the addresses of the others that take clients: not of one that ends, nor
// of one that was killed, though both were known.
func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		var conns []*clustertest.Conn
		var all []*nodes.Nodes
		for i := range 4 {
			conn, address := store.Connect(), fmt.Sprintf("https://n%d.example", i)
			if i == 3 {
				address = "" // behind a load balancer
			}
			n, err := nodes.New(nodes.Config{Bus: conn, Name: fmt.Sprint("n", i), Address: address, Answer: func([]byte) []byte { return nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			conns, all = append(conns, conn), append(all, n)
		}
		time.Sleep(time.Second)
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := all[0].Addresses(); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		expect("all", "https://n1.example", "https://n2.example")
		all[1].Withdraw()
		expect("one drains", "https://n2.example")
		time.Sleep(5 * time.Second)
		expect("it still answers", "https://n2.example")
		conns[2].Cut()
		time.Sleep(15 * time.Second)
		expect("one is away")
		if got := all[0].Known(); !slices.Equal(got, []string{"https://n1.example", "https://n2.example"}) {
			t.Errorf("known: %q", got)
		}
		conns[2].Heal()
		time.Sleep(2 * time.Second)
		expect("back", "https://n2.example")
	})
}

// X37: a node that is silent is named. It carries out what was ordered meanwhile when it
// is heard again, once: what was ordered before it was given up, and behind that.
func TestOrdersReachNodesThatWereSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clustertest.NewStore(clustertest.Options{})
		var conns []*clustertest.Conn
		var all []*nodes.Nodes
		did := make([]sync.Map, 3)
		for i := range 3 {
			conn := store.Connect()
			n, err := nodes.New(nodes.Config{Bus: conn, Name: fmt.Sprint("n", i), Answer: func(q []byte) []byte {
				times, _ := did[i].LoadOrStore(string(q), new(atomic.Int64))
				times.(*atomic.Int64).Add(1)
				return []byte("done")
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			conns, all = append(conns, conn), append(all, n)
		}
		time.Sleep(time.Second)
		order := func(what string, wantAnswers int, wantSilent ...string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			answers, err := all[0].Order(ctx, []byte(what))
			var silent *nodes.UnconfirmedError
			if errors.As(err, &silent) != (len(wantSilent) > 0) || silent != nil && (!slices.Equal(silent.Nodes, wantSilent) || !errors.Is(err, nodes.ErrUnconfirmed)) {
				t.Errorf("%s: %v, want of %v", what, err, wantSilent)
			}
			if len(answers) != wantAnswers {
				t.Errorf("%s: %v", what, answers)
			}
		}
		leftOut := func(want ...string) {
			t.Helper()
			if got := all[0].Silent(); !slices.Equal(got, want) {
				t.Errorf("left out are %q, want %q", got, want)
			}
		}
		order("before", 3)
		conns[2].Cut()
		order("silent", 2, "n2")
		leftOut()
		time.Sleep(20 * time.Second)
		order("given up", 2)
		leftOut("n2")
		if _, err := all[0].Ask(t.Context(), []byte("only asked")); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Minute)
		conns[2].Heal()
		time.Sleep(5 * time.Second)
		leftOut()
		for i := range all {
			for what, want := range map[string]int64{"before": 1, "silent": 1, "given up": 1, "only asked": 1} {
				if i == 2 && what == "only asked" {
					want = 0
				}
				var got int64
				if times, is := did[i].Load(what); is {
					got = times.(*atomic.Int64).Load()
				}
				if got != want {
					t.Errorf("n%d did %q %d times, want %d", i, what, got, want)
				}
			}
		}
	})
}

// gated is a bus that does not take anything while it is shut.
type gated struct {
	cluster.Bus
	gate chan struct{} // has an element: it is open
}

func (g *gated) Send(c cluster.Channel, data []byte) error {
	<-g.gate
	defer func() { g.gate <- struct{}{} }()
	return g.Bus.Send(c, data)
}

// X37: a node that sends no beat knows that it is late before others count it as ended, and
// that is over with the next beat that is in time. One that is alone never is.
func TestWhoSaysNothingIsLate(t *testing.T) {
	for name, others := range map[string]int{"one of two": 1, "alone": 0} {
		synctest.Test(t, func(t *testing.T) {
			store := clustertest.NewStore(clustertest.Options{})
			bus := &gated{store.Connect(), make(chan struct{}, 1)}
			bus.gate <- struct{}{}
			var dropped atomic.Int64
			n, err := nodes.New(nodes.Config{Bus: bus, Name: "late", OnLate: func() { dropped.Add(1) }, Answer: func([]byte) []byte { return nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			for range others {
				other, err := nodes.New(nodes.Config{Bus: store.Connect(), Name: "other", Answer: func([]byte) []byte { return nil }})
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close()
				time.Sleep(5 * time.Second)
				if n.Late() {
					t.Errorf("%s: it is late while it sends beats", name)
				}
				<-bus.gate
				for len(other.Silent()) == 0 {
					time.Sleep(100 * time.Millisecond)
				}
			}
			if others == 0 {
				<-bus.gate
				time.Sleep(time.Minute)
			}
			if got := n.Late(); got != (others > 0) || got != (dropped.Load() > 0) {
				t.Errorf("%s: late %v, OnLate was called %d times", name, got, dropped.Load())
			}
			bus.gate <- struct{}{}
			time.Sleep(3 * time.Second)
			if n.Late() {
				t.Errorf("%s: it is late for ever", name)
			}
		})
	}
}

// X37: who stood still does not know who was silent. It forgets nobody for the time that
// it did not hear anything, and those who are silent from then on.
func TestWhoStoodStillForgetsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := nodes.NewRoster[string, struct{}]()
		other := nodes.NewID()
		r.Hear(other, "other")
		time.Sleep(time.Minute)
		if gone := r.ForgetSilent(10 * time.Second); len(gone) > 0 || !r.Knows(other) {
			t.Error("forgotten after it stood still")
		}
		for range 5 {
			time.Sleep(2 * time.Second)
			if gone := r.ForgetSilent(10 * time.Second); len(gone) > 0 {
				t.Error("forgotten early")
			}
		}
		time.Sleep(2 * time.Second)
		if gone := r.ForgetSilent(10 * time.Second); !maps.Equal(gone, map[nodes.ID]string{other: "other"}) || r.Knows(other) {
			t.Error("still known:", gone)
		}
	})
}
