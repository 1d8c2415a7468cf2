package engine_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// heldBy is what the ledger of srv has for what waits.
func heldBy(srv *engine.Server) int { return srv.Memory().Waiting() }

// wantLedger wants the ledger to grow as the heap does when fill runs, to a
// fifth, and the figures of srv to agree with each other.
func wantLedger(t *testing.T, srv *engine.Server, fill func()) {
	t.Helper()
	const least = 1 << 20 // below that, what else happens in the process counts
	heapBefore, _ := liveHeap()
	before := heldBy(srv)
	fill()
	heapAfter, _ := liveHeap()
	heap, ledger := int(heapAfter)-int(heapBefore), heldBy(srv)-before
	t.Logf("the heap grew by %d KiB, the ledger by %d KiB", heap>>10, ledger>>10)
	if heap < least {
		t.Errorf("the heap grew by %d bytes: the case shows nothing", heap)
	}
	if ledger < heap*4/5 || ledger > heap*6/5 {
		t.Errorf("the heap grew by %d bytes, the ledger by %d", heap, ledger)
	}
	if held := srv.Stats().HeldBytes; held < heldBy(srv)-10 || held > heldBy(srv) { // rounded for each loop
		t.Errorf("the loops hold %d bytes, all together %d", held, heldBy(srv))
	}
}

// stall opens connections that do not read and are blocked.
func (r *room) stall(n int) (sockets []*engine.WebSocket) {
	r.t.Helper()
	needs(r.t, fullSockets)
	for range n {
		_, ws := r.joinNarrow()
		for ws.Buffered() == 0 {
			if err := ws.SendBinary(pattern(32 << 10)); err != nil {
				r.t.Fatal(err)
			}
		}
		sockets = append(sockets, ws)
	}
	return sockets
}

// settled waits until the loops have done what was asked of them.
func settled(t *testing.T, sockets []*engine.WebSocket) {
	t.Helper()
	for range 2 { // a flush may ask for another
		for _, ws := range sockets {
			flushed(t, ws)
		}
	}
}

// stalledRoom is a room whose subscribers do not read and are known to be slow.
func stalledRoom(t *testing.T, srv *engine.Server, subscribers int) (*room, []*engine.WebSocket) {
	t.Helper()
	srv.Limits.WriteTimeout, srv.Limits.PingInterval = engine.NoLimit, engine.NoLimit
	r := openRoom(t, srv)
	sockets := r.stall(subscribers)
	r.publish("", queued(subscribers))
	settled(t, sockets)
	return r, sockets
}

// publisher publishes bodies of one size, under so many keys if it is not 0.
func publisher(t *testing.T, srv *engine.Server, size, keys int) func(i int) engine.Delivery {
	m := engine.TextMessage(strings.Repeat("*", size))
	return func(i int) engine.Delivery {
		t.Helper()
		if keys > 0 {
			m.Key = fmt.Sprint("a key of some length ", i%keys)
		}
		d, err := srv.Publish("room", m)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}

// R-c, U04: what is published to subscribers that stall, at what it costs.
func TestLedgerKnowsWhatStalledSubscribersCost(t *testing.T) {
	skipCosts(t)
	for _, c := range []struct {
		policy engine.SlowPolicy
		keys   int
	}{
		{engine.SlowClose, 0}, {engine.SlowDropNewest, 0}, {engine.SlowDropOldest, 0}, {engine.SlowConflate, 0},
		{engine.SlowConflate, 6000},
	} {
		for _, size := range []int{1, 100, 200, 2000, 64 << 10} {
			t.Run(fmt.Sprintf("policy %d, %d keys, %d bytes", c.policy, c.keys, size), func(t *testing.T) {
				srv := &engine.Server{Loops: 2, Slow: engine.Slow{Policy: c.policy, Limit: 64 << 20}}
				_, sockets := stalledRoom(t, srv, 4)
				publish := publisher(t, srv, size, c.keys)
				wantLedger(t, srv, func() {
					for i := range min(100_000, 8<<20/size) {
						publish(i)
						if i%1000 == 0 {
							settled(t, sockets)
						}
					}
					settled(t, sockets)
				})
			})
		}
	}
}

// SlowDropOldest drops and keeps all the time.
func TestLedgerKnowsWhatIsLeftAfterDropping(t *testing.T) {
	skipCosts(t)
	for _, keys := range []int{0, 5000} {
		t.Run(fmt.Sprint(keys, " keys"), func(t *testing.T) {
			srv := &engine.Server{Loops: 2, Slow: engine.Slow{Policy: engine.SlowDropOldest, Limit: 2 << 20}}
			_, sockets := stalledRoom(t, srv, 4)
			publish := publisher(t, srv, 20, keys)
			wantLedger(t, srv, func() {
				for i := range 100_000 {
					publish(i)
					if i%1000 == 0 {
						settled(t, sockets)
					}
				}
				settled(t, sockets)
			})
			if srv.Stats().Dropped == 0 {
				t.Error("nothing was dropped")
			}
		})
	}
}

// R-c: what is sent to connections one by one.
func TestLedgerKnowsWhatIsQueuedForOne(t *testing.T) {
	skipCosts(t)
	for _, size := range []int{1, 100, 5000, 300_000} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			srv := &engine.Server{Loops: 2}
			_, sockets := stalledRoom(t, srv, 4)
			wantLedger(t, srv, func() {
				for _, ws := range sockets {
					for ws.Buffered() < 1<<20 {
						if err := ws.SendBinary(pattern(size)); err != nil {
							t.Fatal(err)
						}
					}
				}
			})
		})
	}
}

// Small messages of its own between large shared ones.
func TestLedgerKnowsAQueueOfManyKinds(t *testing.T) {
	skipCosts(t)
	srv := &engine.Server{Loops: 2}
	_, sockets := stalledRoom(t, srv, 4)
	publish := publisher(t, srv, 3000, 0)
	wantLedger(t, srv, func() {
		for i := range 1000 {
			publish(i)
			for _, ws := range sockets {
				if err := ws.SendText("and this one alone"); err != nil {
					t.Fatal(err)
				}
			}
		}
		settled(t, sockets)
	})
}

// R-d, U05: what is published while the loops are held up.
func TestLedgerKnowsWhatWaitsForLoops(t *testing.T) {
	skipCosts(t)
	for _, size := range []int{1, 100, 64 << 10} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			srv := &engine.Server{Loops: 2, Slow: engine.Slow{Limit: 64 << 20}}
			r := openRoom(t, srv)
			_, first := r.join()
			_, second := r.join()
			for engine.LoopOf(second) == engine.LoopOf(first) {
				_, second = r.join()
			}
			for _, ws := range []*engine.WebSocket{first, second} {
				release := hold(t, ws)
				defer release()
			}
			publish := publisher(t, srv, size, 0)
			wantLedger(t, srv, func() {
				for i := range min(100_000, 8<<20/size) {
					publish(i)
				}
			})
			st := srv.Stats() // each of the two loops has it pending
			if st.PendingBytes < st.HeldBytes || st.PendingBytes > 5*st.HeldBytes/2 {
				t.Errorf("%d bytes are pending on both loops together, they hold %d", st.PendingBytes, st.HeldBytes)
			}
		})
	}
}

// What was received and waits, in each of the ways there are.
func TestLedgerKnowsWhatIsNotDelivered(t *testing.T) {
	skipCosts(t)
	const clients = 200
	large, small := testkit.Masked(engine.Text, strings.Repeat("*", 1000)), testkit.Masked(engine.Text, "*")
	fragment := func(op engine.OpCode) string { return string(codec.AppendMaskedFrame(nil, op, false, pattern(1000))) }
	dispatch := &engine.Dispatch{Workers: 1, MaxWaiting: 1000}
	pausing := engine.Callbacks{OnText: func(ws *engine.WebSocket, _ []byte) { ws.PauseReading() }}
	for name, c := range map[string]struct {
		dispatch  *engine.Dispatch
		callbacks engine.Callbacks
		octets    string
		messages  uint64 // that are delivered, or given to the pool
	}{
		"messages for a worker":       {dispatch: dispatch, octets: strings.Repeat(large, 50), messages: 50},
		"small messages for a worker": {dispatch: dispatch, octets: strings.Repeat(small, 200), messages: 200},
		"while reading is paused":     {callbacks: pausing, octets: strings.Repeat(large, 30), messages: 1},
		"a message in part":           {octets: declared(0x82, 1<<20) + string(pattern(40_000))},
		"a message in fragments":      {octets: fragment(engine.Binary) + strings.Repeat(fragment(codec.Continuation), 30)},
	} {
		t.Run(name, func(t *testing.T) {
			going := make(chan struct{})
			srv := &engine.Server{Loops: 2, Dispatch: c.dispatch, Callbacks: c.callbacks}
			if c.dispatch != nil {
				srv.Callbacks.OnText = func(*engine.WebSocket, []byte) { <-going }
			}
			r := openRoom(t, srv)
			defer close(going)
			var peers []*rawClient
			var sockets []*engine.WebSocket
			for range clients {
				peer, ws := r.join()
				peers, sockets = append(peers, peer), append(sockets, ws)
			}
			settled(t, sockets)
			opened := srv.Stats().BytesIn
			wantLedger(t, srv, func() {
				for _, peer := range peers {
					peer.send(c.octets)
				}
				eventually(t, "it is received", func() bool {
					st := srv.Stats()
					all := c.callbacks.OnText != nil || st.BytesIn-opened == uint64(clients*len(c.octets))
					return all && st.MessagesIn == clients*c.messages
				})
				settled(t, sockets)
			})
			runtime.KeepAlive(peers) // or their memory is freed meanwhile
		})
	}
}

// What an opening handshake takes: a head in part, a question of BlockingUpgrade, a
// ClientHello in part.
func TestLedgerKnowsHandshakes(t *testing.T) {
	skipCosts(t)
	const clients = 300
	id := testkit.NewIdentity(t, "server")
	going := make(chan struct{})
	long := "X-Long: " + strings.Repeat("*", 6000) + "\r\n"
	for name, c := range map[string]struct {
		server  *engine.Server
		octets  func(addr string) string
		reached func(held int) bool
	}{
		"heads in part": {
			&engine.Server{},
			func(addr string) string { return strings.TrimSuffix(testkit.UpgradeHead(addr), "\r\n") + long },
			func(held int) bool { return held >= clients*6000 },
		},
		"questions": {
			&engine.Server{BlockingUpgrade: true, ShouldUpgrade: func(*engine.Request) (http.Header, error) {
				<-going
				return nil, nil
			}},
			func(addr string) string {
				return strings.TrimSuffix(testkit.UpgradeHead(addr), "\r\n") + long + "\r\n" + testkit.Masked(engine.Text, strings.Repeat("*", 3000))
			},
			func(held int) bool { return held >= clients*7000 },
		},
		"ClientHellos in part": {
			&engine.Server{TLS: id.Server()},
			func(string) string { return "\x16\x03\x01\x3f\xff\x01\x00\x7f\xff" + string(pattern(7000)) },
			func(held int) bool { return held >= clients*7000 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := c.server
			srv.Loops, srv.Limits.HandshakeTimeout = 2, time.Hour
			srv.Logger = slog.New(slog.DiscardHandler)
			addr := listen(t, srv)
			if name == "questions" {
				defer close(going)
			}
			peers := make([]*rawClient, clients)
			for i := range peers {
				peers[i] = dialRaw(t, addr)
			}
			eventually(t, "all are connected", func() bool { return srv.Stats().Connections == clients })
			wantLedger(t, srv, func() {
				for _, peer := range peers {
					peer.send(c.octets(addr))
				}
				eventually(t, "it is received", func() bool { return c.reached(srv.Memory().Handshakes) })
			})
			runtime.KeepAlive(peers)
			for _, peer := range peers {
				_ = peer.Close()
			}
			if name != "questions" {
				eventually(t, "nothing is held", func() bool { return heldBy(srv) == 0 })
			}
		})
	}
}
