package engine_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// F-i: while a goroutine compresses a message for a connection, the loop of that
// connection goes on: with others, and with what it sends on this one.
func TestLoopDoesNotWaitForACompression(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 1, Callbacks: echo, Compression: &takeover, Limits: engine.Limits{MaxQueued: -1}})
	c, ws := r.join(offering(bothTakeover))
	p := newDeflateClient(c)
	other := openRaw(t, r.addr)
	text := hexNoise(12 << 20)
	// It is under way when it is counted. On a machine with other work it may be
	// over before the loop has a CPU: then it is tried again.
	for range 50 {
		before := r.srv.Stats().Compressions
		sent := make(chan error, 1)
		go func() { sent <- ws.SendText(text) }()
		eventually(t, "the compression", func() bool { return r.srv.Stats().Compressions > before })
		c.send(masked(codec.Ping, "still there?") + frame(0x81, "echo"))
		if _, err := r.srv.Publish("room", engine.Text, []byte("published")); err != nil {
			t.Fatal(err)
		}
		other.send(frame(0x81, "of another"))
		for _, want := range []string{"published", "of another"} {
			if _, payload, err := other.readFrame(); err != nil || string(payload) != want && string(payload) != "published" {
				t.Fatalf("%.40q, %v", payload, err)
			}
		}
		last := ""
		for range 4 { // pong, echo, what was published, and text
			_, payload, err := p.readMessage()
			if err != nil {
				t.Fatal(err)
			}
			last = string(payload)
		}
		if err := within(t, "the end of Send", sent); err != nil {
			t.Fatal(err)
		}
		if last == text {
			return
		}
	}
	t.Error("the loop never answers before the compression is over")
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
					_, err = srv.Publish("room", engine.Text, []byte(text))
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
