package engine_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// rush is a server with one loop on which some connections have much to do, and
// one that has little. The loop is held in a message of the former until what the
// latter sends has arrived: from then on the order on the loop decides.
type rush struct {
	srv  *engine.Server
	addr string

	// Owned by the loop.
	honest    *engine.WebSocket
	costly    int // messages of the others that were delivered
	holdAt    int // the loop is held in this one
	inflating int // connections with part of a message, at most
	held      chan struct{}
	answered  chan int // costly, when the honest message was delivered
}

func newRush(t *testing.T, holdAt int) *rush {
	t.Helper()
	r := &rush{holdAt: holdAt, held: make(chan struct{}), answered: make(chan int, 10)}
	r.srv = &engine.Server{
		Loops: 1, Compression: &engine.Compression{},
		Callbacks: engine.Callbacks{
			OnBinary: func(ws *engine.WebSocket, _ []byte) { r.deliver(t, ws) },
			OnText:   func(*engine.WebSocket, []byte) { r.answered <- r.costly },
			OnPing:   func(*engine.WebSocket, []byte) { r.answered <- r.costly },
		},
	}
	r.addr = listen(t, r.srv)
	return r
}

func (r *rush) deliver(t *testing.T, ws *engine.WebSocket) {
	r.costly++
	r.inflating = max(r.inflating, engine.Inflating(ws))
	if r.costly != r.holdAt {
		return
	}
	close(r.held)
	for late := time.Now().Add(patience); !engine.Unread(r.honest); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Error("the honest message did not arrive")
			return
		}
	}
}

// answer sends octets on c while the loop is held, and returns how many costly
// messages were delivered before them.
func (r *rush) answer(t *testing.T, c *rawClient, octets string) int {
	t.Helper()
	within(t, "the rush", r.held)
	c.send(octets)
	return within(t, "the answer", r.answered) - r.holdAt
}

// open opens the honest connection.
func (r *rush) open(t *testing.T) *rawClient {
	t.Helper()
	c, opened := openRaw(t, r.addr, offering("permessage-deflate")), make(chan struct{})
	r.srv.Each(func(ws *engine.WebSocket) {
		r.honest = ws
		close(opened)
	})
	within(t, "the honest connection", opened)
	return c
}

// costlyMessages are n messages of 1 KiB that inflate to 1 MiB each.
func costlyMessages(n int) string { return strings.Repeat(costlyMessage(), n) }

var costlyMessage = sync.OnceValue(func() string { return frame(0xc2, string(deflatedZeros(1<<20))) })

// inTheIteration is how many costly messages may still be delivered in the iteration in
// which the loop was held: what is left of its budget is less than two of them cost.
func inTheIteration(int) int { return 1 }

// R-b, U01: however many connections send what is costly to inflate, what is cheap
// goes first, and large messages take turns.
func TestCostlyMessagesWaitForOthers(t *testing.T) {
	const each = 12
	half := frame(0xc1, string(deflated(strings.Repeat("a", 400_000))))
	for _, tt := range []struct {
		name, octets string
		most         func(attackers int) int // costly messages before it
	}{
		{"plain", frame(0x81, "hello"), inTheIteration},
		{"compressed", frame(0xc1, string(deflated(`{"an":"honest message"}`))), inTheIteration},
		{"ping", frame(0x89, "there?"), inTheIteration},
		// Each of the others finishes the message it is at, and may begin another one.
		{"large", half, func(attackers int) int { return 2 * attackers }},
	} {
		for _, attackers := range []int{1, 10} {
			t.Run(fmt.Sprintf("%s beside %d", tt.name, attackers), func(t *testing.T) {
				r := newRush(t, 2*attackers)
				c := r.open(t)
				others := make([]*rawClient, attackers)
				for i := range others {
					others[i] = openRaw(t, r.addr, offering("permessage-deflate"))
				}
				for _, other := range others {
					other.send(costlyMessages(each))
				}
				if got, most := r.answer(t, c, tt.octets), tt.most(attackers); got > most {
					t.Errorf("%d costly messages were delivered before it, want at most %d", got, most)
				}
				eventually(t, "all messages", func() bool {
					return r.srv.Stats().MessagesIn == uint64(attackers*each+1-strings.Count(tt.name, "ping"))
				})
				if st := r.srv.Stats(); st.Deferred == 0 || r.inflating > 1 {
					t.Errorf("put off %d times; %d connections had part of a message", st.Deferred, r.inflating)
				}
			})
		}
	}
}

// R-b: small messages by the thousand in one read wait too.
func TestManySmallMessagesWaitForOthers(t *testing.T) {
	needs(t, promptArrival)
	const each = 50_000
	r := newRush(t, 10)
	c := r.open(t)
	many := openRaw(t, r.addr)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		many.send(strings.Repeat(frame(0x82, ""), each))
	}()
	if got := r.answer(t, c, frame(0x81, "hello")); got > 6000 {
		t.Errorf("%d of %d messages of one connection were delivered before it", got, each)
	}
	within(t, "the end of sending", sent)
	eventually(t, "all messages", func() bool { return r.srv.Stats().MessagesIn == each+1 })
}

// endWithPeer closes c when the server ends it, which waits for that.
func (c *rawClient) endWithPeer() {
	go func() {
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}()
}

// A message that waits for its turn is one that was received: what ends the
// connection meanwhile has the same effect as ever.
func TestEndWhileMessagesWait(t *testing.T) {
	for name, tt := range map[string]struct {
		end       func(c *rawClient, ws *engine.WebSocket)
		delivered int // messages at most, besides those before the end
		code      engine.StatusCode
	}{
		"the peer's close frame": {func(c *rawClient, _ *engine.WebSocket) { c.send(testkit.Masked(codec.Close, "\x03\xe8")) }, 29, engine.StatusNormalClosure},
		"Close": {func(c *rawClient, ws *engine.WebSocket) {
			_ = ws.Close(engine.StatusGoingAway, "")
			c.send(testkit.Masked(codec.Close, "\x03\xe9"))
		}, 1, engine.StatusGoingAway},
		"CloseNow": {func(_ *rawClient, ws *engine.WebSocket) { ws.CloseNow() }, 1, engine.StatusAbnormalClosure},
		"a reset": {func(c *rawClient, _ *engine.WebSocket) {
			_ = c.Conn.(interface{ SetLinger(int) error }).SetLinger(0)
			_ = c.Close()
		}, 29, engine.StatusAbnormalClosure},
		"a bad message": {func(c *rawClient, _ *engine.WebSocket) { c.send(frame(0xc2, "\xff\xff")) }, 29, engine.StatusInvalidFramePayloadData},
	} {
		t.Run(name, func(t *testing.T) {
			var delivered, after atomic.Int32
			var ended atomic.Bool
			opened, first, closed := make(chan *engine.WebSocket, 1), make(chan struct{}), make(chan engine.StatusCode, 1)
			srv := &engine.Server{
				Loops: 1, Compression: &engine.Compression{},
				OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
				Callbacks: engine.Callbacks{
					OnBinary: func(*engine.WebSocket, []byte) {
						if ended.Load() {
							after.Add(1)
						}
						if delivered.Add(1) == 1 {
							close(first)
						}
					},
					OnClose: func(_ *engine.WebSocket, code engine.StatusCode, _ string) { closed <- code },
				},
			}
			c := openRaw(t, listen(t, srv), offering("permessage-deflate"))
			ws := within(t, "the connection", opened)
			c.send(costlyMessages(30))
			within(t, "the first message", first)
			tt.end(c, ws)
			ended.Store(true)
			c.endWithPeer()
			if code := within(t, "OnClose", closed); code != tt.code {
				t.Errorf("closed with %d, want %d", code, tt.code)
			}
			if n := int(after.Load()); n > tt.delivered {
				t.Errorf("%d messages were delivered afterwards", n)
			}
			if strings.HasPrefix(name, "the peer's") && delivered.Load() != 30 {
				t.Errorf("%d messages were delivered before the close frame", delivered.Load())
			}
			eventually(t, "the memory", func() bool { return srv.Memory() == engine.Memory{} })
		})
	}
}

// PauseReading holds a message back that waits for its turn, and ResumeReading
// goes on with it.
func TestPauseWhileMessagesWait(t *testing.T) {
	const each = 40
	got := make(chan int, each)
	var paused, outside atomic.Bool
	n := 0 // owned by the loop
	opened := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{
		Loops: 1, Compression: &engine.Compression{},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnBinary: func(ws *engine.WebSocket, data []byte) {
			if paused.Load() {
				t.Error("a message came while reading was paused")
			}
			if n++; len(data) != 1<<20 {
				t.Errorf("message %d has %d bytes", n, len(data))
			}
			if n%3 == 0 && !outside.Load() {
				ws.PauseReading()
				paused.Store(true)
			}
			got <- n
		}},
	}
	c := openRaw(t, listen(t, srv), offering("permessage-deflate"))
	ws := within(t, "the connection", opened)
	c.send(costlyMessages(each))
	for i := 1; i <= each; i++ {
		if g := within(t, "a message", got); g != i {
			t.Fatalf("message %d came as number %d", i, g)
		}
		if i%3 == 0 {
			flushed(t, ws) // the loop has gone round
			paused.Store(false)
			ws.ResumeReading()
		}
	}
	outside.Store(true) // at any moment
	for i := each + 1; i <= 2*each; i++ {
		c.send(costlyMessages(1))
		ws.PauseReading()
		ws.ResumeReading()
		if g := within(t, "a message", got); g != i {
			t.Fatalf("message %d came as number %d", i, g)
		}
	}
}

// F-f, R-b: a callback that does not return in a turn ends its connection; the
// others that wait get their turns.
func TestCallbackThatDoesNotReturnInItsTurn(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("oops") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			const each = 10
			counts := make(map[*engine.WebSocket]int) // owned by the one loop
			closed := make(chan engine.StatusCode, 4)
			srv := &engine.Server{Loops: 1, Compression: &engine.Compression{}, Callbacks: engine.Callbacks{
				OnBinary: func(ws *engine.WebSocket, data []byte) {
					if counts[ws]++; counts[ws] == each/2 && engine.Get[string](ws) == "bad" {
						end()
					}
				},
				OnClose: func(_ *engine.WebSocket, code engine.StatusCode, _ string) { closed <- code },
			}}
			var opened atomic.Int32
			srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
				engine.Set(ws, []string{"bad", "good"}[opened.Add(1)%2])
			}
			addr := listen(t, srv)
			var conns []*rawClient
			for range 4 {
				conns = append(conns, openRaw(t, addr, offering("permessage-deflate")))
			}
			for _, c := range conns {
				c.send(costlyMessages(each))
				c.endWithPeer()
			}
			for range 2 {
				if code := within(t, "the end of a bad one", closed); code != engine.StatusInternalError {
					t.Errorf("closed with %d", code)
				}
			}
			eventually(t, "the other messages", func() bool { return srv.Stats().MessagesIn == 2*each+2*each/2 })
			if st := srv.Stats(); st.Deferred == 0 || st.Panics != 2 {
				t.Errorf("put off %d times, %d panics", st.Deferred, st.Panics)
			}
		})
	}
}

// R-b: over TLS too, where what was decrypted waits as well, and on the client's
// side: nothing is lost, in whatever order the loops serve their connections.
func TestMessagesThatWaitOverTLS(t *testing.T) {
	const connections, each = 4, 60
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{
		Loops: 1, TLS: id.Server(), Compression: &engine.Compression{ServerContextTakeover: true, ClientContextTakeover: true},
		Callbacks: echo, Limits: engine.Limits{MaxQueued: engine.NoLimit},
	}
	engine.SetIterationBudget(srv, 1)
	addr := listen(t, srv)
	text := func(i int) string { return strings.Repeat(fmt.Sprint(i, " much the same "), 1<<(i%14)) }
	var running sync.WaitGroup
	for range connections {
		got := make(chan string, each)
		ws, err := engine.Dial(t.Context(), "wss://"+addr+"/", &engine.DialOptions{
			TLS: id.Client(), Compression: &engine.Compression{ServerContextTakeover: true, ClientContextTakeover: true},
			Callbacks: engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) }},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		running.Go(func() {
			for i := range each {
				if err := ws.SendText(text(i)); err != nil {
					t.Error(err)
				}
			}
			for i := range each {
				select {
				case received := <-got:
					if received != text(i) {
						t.Errorf("message %d is %d bytes: %.40q", i, len(received), received)
					}
				case <-time.After(patience):
					t.Errorf("message %d did not come", i)
					return
				}
			}
		})
	}
	running.Wait()
	if srv.Stats().Deferred == 0 {
		t.Error("nothing had to wait")
	}
}
