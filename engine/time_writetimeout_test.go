package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// R01, R03: at the limit in time. A peer that takes a few bytes now and then
// does not get on.
func TestTimeoutWithoutProgressMakesAQueueCountAsFull(t *testing.T) {
	needs(t, fullSockets)
	srv := &engine.Server{Loops: 1, Slow: engine.Slow{Policy: engine.SlowDropNewest, Timeout: 50 * time.Millisecond}}
	r := openRoom(t, srv)
	c, ws := r.joinNarrow()
	fillTo(t, ws, 50_000)
	r.publish("one", queued(1))
	flushed(t, ws)
	r.publish("two", queued(1)) // time counts from here
	eventually(t, "a message is dropped", func() bool {
		one := make([]byte, 1)
		if _, err := c.br.Read(one); err != nil {
			t.Fatal(err)
		}
		d, err := srv.Publish("room", engine.TextMessage("more"))
		if err != nil || d.Queued+d.Dropped != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
		return d.Dropped == 1
	})
}

// R03
func TestWriteTimeoutEndsAReaderOfAByteNowAndThen(t *testing.T) {
	needs(t, fullSockets)
	ended := make(chan error, 1)
	srv := &engine.Server{
		Limits:    engine.Limits{WriteTimeout: 200 * time.Millisecond},
		Callbacks: engine.Callbacks{OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) { ended <- ws.Err() }},
	}
	r := openRoom(t, srv)
	c, ws := r.joinNarrow()
	for ws.Buffered() < 100_000 && ws.SendBinary(pattern(32<<10)) == nil { // or ended already
	}
	one := make([]byte, 1)
	for {
		select {
		case err := <-ended:
			if !errors.Is(err, engine.ErrWriteTimeout) {
				t.Fatal("ended with", err)
			}
			return
		case <-time.After(10 * time.Millisecond):
			_, _ = c.Conn.Read(one) // the end is told by the channel
		}
	}
}

// A large send buffer hides for long that a slow link gets on.
func TestWriteTimeoutSparesAReaderThatGetsOn(t *testing.T) {
	needs(t, acknowledgements)
	timeout := 150 * time.Millisecond
	eventually(t, "a machine that runs the test in time", func() bool {
		timeout *= 2
		r := openRoom(t, &engine.Server{Limits: engine.Limits{WriteTimeout: timeout}})
		c, ws := r.join() // with buffers as large as they come
		if err := ws.SendBinary(pattern(12 << 20)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64<<10)
		start, longest := time.Now(), time.Duration(0)
		for last := start; last.Sub(start) < 8*timeout; {
			_, err := c.br.Read(buf)
			pause := time.Since(last)
			last, longest = last.Add(pause), max(longest, pause)
			switch {
			case err != nil && longest < timeout/2:
				t.Fatalf("dropped after %v without a read for %v at most: %v", last.Sub(start), longest, ws.Err())
			case err != nil:
				return false
			}
			time.Sleep(timeout / 10) // the pace of the link
		}
		if err := ws.Err(); err != nil && longest < timeout/2 {
			t.Error(err)
		}
		return longest < timeout/2
	})
}
