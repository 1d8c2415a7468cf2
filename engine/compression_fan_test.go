package engine_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

const bothTakeover = "permessage-deflate"

// offers of clients that share a room: plain, and two window sizes with and
// without takeover.
var fanOffers = []string{
	"x-none", // an extension that nobody knows
	"permessage-deflate; server_no_context_takeover",
	"permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
	bothTakeover,
	"permessage-deflate; server_max_window_bits=9",
}

var takeover = engine.Compression{ServerContextTakeover: true, ClientContextTakeover: true}

// hexNoise is n bytes of text that shrink only by looking back at the same text.
func hexNoise(n int) string { return hex.EncodeToString([]byte(noise((n + 1) / 2)))[:n] }

// However many subscribers there are, on however many loops: a message is
// compressed once for each window size that one of them has.
func TestPublishIsCompressedOnceForEachWindowSize(t *testing.T) {
	const each, rounds = 8, 10
	r := openRoom(t, &engine.Server{Loops: 2, Compression: &takeover})
	var peers []*deflateClient
	join := func(offer string) {
		for range each {
			c, _ := r.join(offering(offer))
			peers = append(peers, newDeflateClient(c))
		}
	}
	compressions := func() uint64 { return r.srv.Stats().Compressions }
	publish := func(text string) {
		r.publish(text, queued(len(peers)))
		for _, p := range peers {
			p.wantMessage(engine.Text, text)
		}
	}
	sizes := 0
	for i, offer := range fanOffers {
		if i == 1 || i == 2 { // a size that nobody had so far
			sizes++
		}
		join(offer)
		before := compressions()
		for range rounds {
			publish(string(pattern(3000)))
			publish("below the threshold")
		}
		if n := compressions() - before; n != uint64(rounds*sizes) {
			t.Errorf("with %q: %d compressions of %d messages for %d window sizes", offer, n, rounds, sizes)
		}
	}
	before := compressions()
	for range rounds { // many at once: small frames are put together
		r.publish(string(pattern(1000)), queued(len(peers)))
		r.publish("in between", queued(len(peers)))
	}
	for _, p := range peers {
		for range rounds {
			if h, _, err := p.readMessage(); err != nil || h.Rsv1 != (p.inflater != nil) {
				t.Fatalf("%q: RSV1 %v, %v", p.extensions, h.Rsv1, err)
			}
			p.wantMessage(engine.Text, "in between")
		}
	}
	if n := compressions() - before; n != rounds*2 {
		t.Errorf("%d compressions of %d messages for 2 window sizes", n, rounds)
	}
	before = compressions()
	publish(noise(3000))
	if n := compressions() - before; n != 2 {
		t.Errorf("%d compressions of what does not shrink", n)
	}
}

// A prepared message too.
func TestPreparedIsCompressedOnceForEachWindowSize(t *testing.T) {
	r := openRoom(t, &engine.Server{Loops: 2, Compression: &takeover})
	text := hexNoise(5000)
	p, err := engine.Prepare(engine.Text, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		for _, offer := range fanOffers {
			c, ws := r.join(offering(offer))
			peer := newDeflateClient(c)
			for range 3 {
				if err := errors.Join(ws.SendText(text), ws.SendPrepared(p), ws.SendText(text)); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					peer.wantMessage(engine.Text, text)
				}
			}
		}
	}
	const direct = 4 * 4 * 3 * 2 // those without compression do not count
	if n := r.srv.Stats().Compressions; n != direct+2 {
		t.Errorf("%d compressions, want %d of direct sends and 2", n, direct)
	}
}

// What a side refers back to lies within the window that was agreed: text that
// comes again does not shrink when it is further back, and does when it is not.
func TestAgreedWindowIsKept(t *testing.T) {
	for bits := 8; bits <= 13; bits++ { // 4 KiB is as far back as what was sent before is looked at
		for _, context := range []string{"; server_no_context_takeover", ""} {
			t.Run(fmt.Sprint(bits, context), func(t *testing.T) {
				compression := takeover
				compression.Threshold = 1
				r := openRoom(t, &engine.Server{Compression: &compression})
				c, ws := r.join(offering(fmt.Sprint("permessage-deflate; server_max_window_bits=", bits, context)))
				p := newDeflateClient(c)
				size := func(text string, send func(string) error) int {
					t.Helper()
					if err := send(text); err != nil {
						t.Fatal(err)
					}
					h, got, err := p.readMessage()
					if err != nil || string(got) != text {
						t.Fatal(err)
					}
					return int(h.Length)
				}
				publish := func(text string) error {
					_, err := r.srv.Publish("room", engine.TextMessage(text))
					return err
				}
				window := 1 << bits
				for name, send := range map[string]func(string) error{"sent": ws.SendText, "published": publish} {
					again := hexNoise(window / 2)
					near := again + hexNoise(window/4) + again
					if n := size(near, send); n > len(near)/2 {
						t.Errorf("%s: %d bytes became %d: what lies within the window is not used", name, len(near), n)
					}
					again = hexNoise(window / 2)
					far := again + hexNoise(window) + again
					if n := size(far, send); n < len(far)/2 {
						t.Errorf("%s: %d bytes became %d: the window is exceeded", name, len(far), n)
					}
				}
				again := hexNoise(window / 2)
				first := size(again, ws.SendText)
				second := size(again, ws.SendText)
				if kept := second < first/2; kept != (context == "") {
					t.Errorf("the same again: %d bytes, then %d", first, second)
				}
				size(hexNoise(window), ws.SendText)
				if n := size(again, ws.SendText); n < len(again)/2 {
					t.Errorf("%d bytes became %d: the window is exceeded from message to message", len(again), n)
				}
			})
		}
	}
}

// A message that was refused is not what the next one refers to.
func TestRefusedMessageIsNotReferredTo(t *testing.T) {
	r := openRoom(t, &engine.Server{Compression: &takeover, Limits: engine.Limits{MaxQueued: 64 << 10, WriteTimeout: -1, PingInterval: -1}})
	c, ws := r.join(offering(bothTakeover))
	p := newDeflateClient(c)
	refused := 0
	for round := range 5 {
		var sent []string
		for try := 0; refused <= 3*round && try < 10_000; try++ {
			text := fmt.Sprint(round, try, " ", hexNoise(10_000))
			switch err := ws.SendText(text); {
			case err == nil:
				sent = append(sent, text)
			case errors.Is(err, engine.ErrBackpressure):
				refused++
				if small := text[:2000]; ws.SendText(small) == nil { // the same text, now it fits
					sent = append(sent, small)
				}
			default:
				t.Fatal(err)
			}
		}
		for _, text := range sent {
			p.wantMessage(engine.Text, text)
		}
	}
	if refused == 0 {
		t.Fatal("nothing was refused")
	}
}

// With takeover, messages are compressed in the order in which they leave.
func TestConcurrentSendsKeepTheirContext(t *testing.T) {
	const senders, each = 8, 300
	r := openRoom(t, &engine.Server{Loops: 2, Compression: &takeover, Limits: engine.Limits{MaxQueued: -1, PingInterval: -1}})
	c, ws := r.join(offering(bothTakeover))
	p := newDeflateClient(c)
	common := hexNoise(1000)
	var sending sync.WaitGroup
	defer sending.Wait()
	for id := range senders {
		sending.Go(func() {
			for n := range each {
				var err error
				text := fmt.Sprintf("%d %d %s", id, n, common[n%500:])
				switch n % 10 {
				case 3:
					_, err = r.srv.Publish("room", engine.TextMessage(text))
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
		if want := fmt.Sprintf("%d %d %s", id, next[id], common[next[id]%500:]); string(text) != want {
			t.Fatalf("got %.40q, want %.40q", text, want)
		}
		next[id]++
	}
}
