package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// F-i: while a goroutine compresses a message for a connection, the loop of that
// connection goes on: with others, and with what it sends on this one.
func TestLoopDoesNotWaitForACompression(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1, Callbacks: echo, Compression: &takeover,
		Limits: engine.Limits{MaxQueued: -1, PingInterval: -1}, Slow: engine.Slow{Limit: -1}})
	c, ws := r.join(offering(bothTakeover))
	p := newDeflateClient(c)
	other, ws2 := r.join()
	if err := errors.Join(ws.Subscribe("elsewhere"), ws2.Unsubscribe("room")); err != nil {
		t.Fatal(err)
	}
	text := hexNoise(12 << 20)
	for name, send := range map[string]func() error{
		"Send": func() error { return ws.SendText(text) },
		"Publish": func() error {
			_, err := r.srv.Publish("room", engine.TextMessage(text))
			return err
		},
	} {
		if !answersMeanwhile(t, r.srv, p, other, send) {
			t.Errorf("%s: the loop never answers before the compression is over", name)
		}
	}
}

// answersMeanwhile sends a large message and says whether what the loop has to do
// meanwhile comes before it. It is under way when it is counted. On a machine with
// other work it may be over before the loop has a CPU: then it is tried again.
func answersMeanwhile(t *testing.T, srv *engine.Server, p *deflateClient, other *rawClient, send func() error) bool {
	t.Helper()
	for range 50 {
		before := srv.Stats().Compressions
		sent := make(chan error, 1)
		go func() { sent <- send() }()
		eventually(t, "the compression", func() bool { return srv.Stats().Compressions > before })
		p.send(testkit.Masked(codec.Ping, "still there?") + frame(0x81, "echo"))
		if _, err := srv.Publish("elsewhere", engine.TextMessage("published")); err != nil {
			t.Fatal(err)
		}
		other.send(frame(0x81, "of another"))
		if _, payload, err := other.readFrame(); err != nil || string(payload) != "of another" {
			t.Fatalf("%.40q, %v", payload, err)
		}
		last := 0
		for range 4 { // pong, echo, what was published elsewhere, and the large one
			_, payload, err := p.readMessage()
			if err != nil {
				t.Fatal(err)
			}
			last = len(payload)
		}
		if err := within(t, "the end of the send", sent); err != nil {
			t.Fatal(err)
		}
		if last > 1<<20 {
			return true
		}
	}
	return false
}

// F-i: whatever goes out between compressing a message and writing it, the peer
// reads all of them: large and small, published, prepared, plain and in fragments,
// from many goroutines and from the loop.
func TestConcurrentSendsOfEveryKindKeepTheirContext(t *testing.T) {
	const senders, each = 6, 120
	srv := &engine.Server{Loops: 2, Compression: &takeover, Limits: engine.Limits{MaxQueued: -1}, Callbacks: echo}
	r := openRoom(t, srv)
	c, ws := r.join(offering(bothTakeover))
	p := newDeflateClient(c)
	common := hexNoise(40_000)
	var sending sync.WaitGroup
	defer sending.Wait()
	for id := range senders {
		sending.Go(func() {
			for n := range each {
				text := fmt.Sprintf("%d %d %s", id, n, common[n:n+[]int{100, 2000, 15_000, 17_000, 39_000}[(n+id)%5]])
				var err error
				switch n % 6 {
				case 1:
					_, err = srv.Publish("room", engine.TextMessage(text))
				case 3:
					m, _ := engine.Prepare(engine.Text, []byte(text))
					err = ws.SendPrepared(m)
				case 5:
					sent := make(chan error, 1)
					if err = ws.Do(func() { sent <- ws.SendText(text) }); err == nil {
						err = <-sent
					}
				default:
					err = ws.SendText(text)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [senders]int
	for range senders * each {
		_, text, err := p.readMessage()
		var id, n int
		if _, serr := fmt.Sscan(string(text), &id, &n); err != nil || serr != nil {
			t.Fatal(err, serr)
		}
		if want := fmt.Sprintf("%d %d ", id, next[id]); !strings.HasPrefix(string(text), want) || !strings.HasPrefix(common[n:], string(text[len(want):])) {
			t.Fatalf("got %.40q, want %.40q", text, want)
		}
		next[id]++
	}
}
