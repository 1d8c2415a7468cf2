package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

func TestMakingAMessageAllocatesNothing(t *testing.T) {
	text, octets := strings.Repeat("text", 20), pattern(80)
	var m engine.Message
	for name, make := range map[string]func(){
		"text, a string": func() { m = engine.TextMessage(text) },
		"text, bytes":    func() { m = engine.TextMessage(octets) },
		"binary":         func() { m = engine.BinaryMessage(octets) },
	} {
		if n := testing.AllocsPerRun(100, make); n > 0 || len(m.Data) != 80 {
			t.Errorf("%s: %.0f allocations for %d octets", name, n, len(m.Data))
		}
	}
}

// Publishing one to many topics encodes and compresses it once for all of them.
func TestPublishingAPreparedMessageEncodesItOnce(t *testing.T) {
	const topics, rounds = 5, 3
	r := openRoom(t, &engine.Server{Loops: 2, Compression: &takeover})
	var peers []*deflateClient
	for i, offer := range fanOffers {
		c, ws := r.join(offering(offer))
		peers = append(peers, newDeflateClient(c))
		if err := errors.Join(ws.Unsubscribe("room"), ws.Subscribe(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{hexNoise(5000), hexNoise(50_000)} { // compressed by who needs it, and ahead
		p, err := engine.Prepare(engine.Text, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		before := r.srv.Stats().Compressions
		for range rounds {
			for i := range topics {
				if d, err := r.srv.Publish(fmt.Sprint(i), engine.Message{Prepared: p}); err != nil || d != queued(1) {
					t.Fatalf("%+v, %v", d, err)
				}
				peers[i].wantMessage(engine.Text, text)
			}
		}
		if n := r.srv.Stats().Compressions - before; n != 2 {
			t.Errorf("%d compressions, want one for each of 2 window sizes", n)
		}
	}
}

func TestPublishedPreparedMessagesConflateByKey(t *testing.T) {
	eachScope(t, engine.SlowConflate, func(t *testing.T, s *slowCase) {
		prepared := func(words string) *engine.Prepared {
			p, err := engine.Prepare(engine.Text, []byte(s.text(words)))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		publish := func(p *engine.Prepared, key string, want engine.Delivery) {
			t.Helper()
			if d, err := s.srv.Publish("room", engine.Message{Prepared: p, Key: key}); err != nil || d != want {
				t.Fatalf("%+v, %v; want %+v", d, err, want)
			}
			flushed(t, s.ws)
		}
		one, two := prepared("one"), prepared("two")
		publish(one, "a", queued(1))
		publish(one, "b", queued(1))
		publish(two, "a", engine.Delivery{Conflated: 1})
		s.wantTexts("one", "two") // of b, and of a
	})
}

// The keys of one prepared message are memory of their own.
func TestLedgerKnowsTheKeysOfPreparedMessages(t *testing.T) {
	skipCosts(t)
	srv := &engine.Server{Slow: engine.Slow{Policy: engine.SlowConflate, Limit: 64 << 20}}
	_, sockets := stalledRoom(t, srv, 1)
	p, err := engine.Prepare(engine.Text, pattern(100))
	if err != nil {
		t.Fatal(err)
	}
	wantLedger(t, srv, func() {
		for i := range 2000 {
			key := strings.Repeat(fmt.Sprintf("%010d", i), 100)
			if _, err := srv.Publish("room", engine.Message{Prepared: p, Key: key}); err != nil {
				t.Fatal(err)
			}
		}
		settled(t, sockets)
	})
}
