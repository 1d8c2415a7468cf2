package engine_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

func TestStatisticsAddUp(t *testing.T) {
	const clients, rounds = 6, 50
	srv := &engine.Server{Loops: 2, Callbacks: echo}
	r := openRoom(t, srv)
	var peers []*rawClient
	var sockets []*engine.WebSocket
	for range clients {
		c, ws := r.join()
		peers, sockets = append(peers, c), append(sockets, ws)
	}
	for _, ws := range sockets { // the last handshake is counted when its iteration ends
		flushed(t, ws)
		flushed(t, ws)
	}
	opened := srv.Stats()
	if opened.Connections != clients || opened.MessagesIn+opened.MessagesOut != 0 {
		t.Fatalf("%+v", opened)
	}
	var in, out uint64 // octets of frames
	for range rounds {
		for _, c := range peers {
			c.sendFrame(engine.Text, true, []byte("ping"))
			in += 6 + 4
		}
		for _, c := range peers {
			c.wantMessage(engine.Text, "ping")
			out += 2 + 4
		}
		r.publish("to all", queued(clients))
		if d, err := sockets[0].Publish("room", engine.TextMessage("others")); err != nil || d != queued(clients-1) {
			t.Fatalf("%+v, %v", d, err)
		}
		for i, c := range peers {
			c.wantMessage(engine.Text, "to all")
			out += 2 + 6
			if i > 0 {
				c.wantMessage(engine.Text, "others")
				out += 2 + 6
			}
		}
	}
	for _, ws := range sockets {
		flushed(t, ws)
		flushed(t, ws) // counters are those of the last iteration
	}
	st := srv.Stats()
	if n := uint64(clients * rounds); st.MessagesIn != n || st.MessagesOut != 3*n-rounds {
		t.Errorf("%d messages in, %d out; want %d and %d", st.MessagesIn, st.MessagesOut, n, 3*n-rounds)
	}
	if st.BytesIn-opened.BytesIn != in || st.BytesOut-opened.BytesOut != out {
		t.Errorf("%d bytes in, %d out; want %d and %d",
			st.BytesIn-opened.BytesIn, st.BytesOut-opened.BytesOut, in, out)
	}
	if len(st.Loops) != 2 {
		t.Fatalf("%d loops", len(st.Loops))
	}
	var sum engine.LoopStats
	for _, l := range st.Loops {
		sum.Connections += l.Connections
		sum.Encrypted += l.Encrypted
		sum.QueuedBytes += l.QueuedBytes
		sum.PendingBytes += l.PendingBytes
		sum.AssemblyBytes += l.AssemblyBytes
		sum.HeldBytes += l.HeldBytes
		sum.Budget += l.Budget
		sum.MessagesIn += l.MessagesIn
		sum.MessagesOut += l.MessagesOut
		sum.BytesIn += l.BytesIn
		sum.BytesOut += l.BytesOut
	}
	if sum != st.LoopStats {
		t.Errorf("the loops together %+v, all %+v", sum, st.LoopStats)
	}
}

func TestEachVisitsEveryOpenConnectionOnItsLoop(t *testing.T) {
	const clients = 10
	r := openRoom(t, &engine.Server{Loops: 3})
	var peers []*rawClient
	for range clients {
		c, _ := r.join()
		peers = append(peers, c)
	}
	dialRaw(t, r.addr) // still in the opening handshake
	r.srv.Each(func(ws *engine.WebSocket) {
		_ = ws.SendText("visited")
		if ws.Subprotocol() == "" {
			panic("one of them panics") // and ends only itself
		}
	})
	for _, c := range peers {
		c.wantMessage(engine.Text, "visited")
		c.wantClose(engine.StatusInternalError)
		_ = c.Close()
	}
}

// EachLoop runs a function on each loop once, and one that panics ends nothing else.
func TestEachLoopVisitsEveryLoop(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 3})
	c, _ := r.join()
	for round := range 2 {
		visited := make(chan int, 8)
		r.srv.EachLoop(func(loop int) {
			visited <- loop
			if round == 0 {
				panic("the first round panics")
			}
		})
		var loops []int
		for range 3 {
			loops = append(loops, <-visited)
		}
		if slices.Sort(loops); !slices.Equal(loops, []int{0, 1, 2}) {
			t.Errorf("round %d visited %v", round, loops)
		}
	}
	eventually(t, "the panics are counted", func() bool { return r.srv.Stats().Panics == 3 })
	r.srv.Each(func(ws *engine.WebSocket) { _ = ws.SendText("still open") })
	c.wantMessage(engine.Text, "still open")
	_ = c.Close()
}

// The ledger knows what waits, by class, and goes back to nothing.
func TestMemoryIsToldByClass(t *testing.T) {
	const clients, limit, size = 8, 4 << 20, 64 << 10
	var held atomic.Int64
	srv := &engine.Server{Loops: 2, Slow: engine.Slow{Policy: engine.SlowDropOldest, Limit: limit}}
	joined := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		if err := ws.Subscribe("room"); err != nil {
			t.Error(err)
		}
		joined <- ws
	}
	addr := listenWithSendBuffer(t, srv, 4096)
	empty := srv.Memory()
	if empty != (engine.Memory{}) {
		t.Errorf("without connections: %+v", empty)
	}
	var peers []*rawClient
	var sockets []*engine.WebSocket
	for range clients {
		peers = append(peers, openNarrow(t, addr))
		sockets = append(sockets, within(t, "OnUpgrade", joined))
	}
	idle := srv.Memory()
	if idle.Connections < clients*100 || idle.Topics < clients*40 || idle.Outboxes+idle.SharedFrames+idle.Assembly != 0 {
		t.Errorf("idle: %+v", idle)
	}
	for range 2 * limit / size { // shared by all, once in memory
		if d, err := srv.Publish("room", engine.BinaryMessage(pattern(size))); err != nil || d.Subscribers() != clients {
			t.Fatalf("%+v, %v", d, err)
		}
		for _, ws := range sockets {
			flushed(t, ws)
		}
	}
	m := srv.Memory()
	if m.SharedFrames < limit*9/10 || m.SharedFrames > limit*9/8+4*size {
		t.Errorf("%d bytes in shared frames, want about %d: %+v", m.SharedFrames, limit, m)
	}
	if q := srv.Stats().QueuedBytes; q < clients*limit*9/10 || q > clients*(limit+4*size) {
		t.Errorf("%d bytes queued, want about %d", q, clients*limit)
	}
	for _, ws := range sockets { // each its own
		if err := ws.SendBinary(pattern(100_000)); err != nil {
			t.Fatal(err)
		}
		held.Add(100_000)
	}
	if m := srv.Memory(); m.Outboxes < int(held.Load()) || m.Outboxes > 2*int(held.Load()) {
		t.Errorf("%d bytes in outboxes, want about %d", m.Outboxes, held.Load())
	}
	// A message in part.
	peers[0].send("\x02\xfe\xff\xff\x00\x00\x00\x00" + string(pattern(30_000)))
	eventually(t, "a message in part is held", func() bool { return srv.Memory().Assembly >= 30_000 })
	for _, c := range peers {
		_ = c.Close()
	}
	eventually(t, "nothing is held any more", func() bool {
		return srv.Memory() == engine.Memory{} && srv.Stats().QueuedBytes == 0
	})
}

// What was received and waits for its callback is in the ledger.
func TestMemoryKnowsWhatIsNotDelivered(t *testing.T) {
	const size, waiting = 1000, 3
	going := make(chan struct{})
	for name, srv := range map[string]*engine.Server{
		"for a worker": {
			Dispatch:  &engine.Dispatch{Workers: 1},
			Callbacks: engine.Callbacks{OnText: func(*engine.WebSocket, []byte) { <-going }},
		},
		"while reading is paused": {
			Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, _ []byte) { ws.PauseReading() }},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := openRaw(t, listen(t, srv))
			c.send(strings.Repeat(testkit.Masked(engine.Text, strings.Repeat("*", size)), 1+waiting)) // one segment, one read
			eventually(t, "what waits is told", func() bool { return srv.Memory().Assembly >= waiting*size })
			if name == "for a worker" {
				close(going)
				eventually(t, "nothing waits", func() bool { return srv.Memory().Assembly == 0 })
			}
		})
	}
}
