package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/internal/seeds"
	"github.com/fanloop-go/fanloop/loop"
)

// The ways in which the server of the model sends a message back, as its first
// octet.
const (
	backBySend = 'a' + iota
	backByPrepared
	backByPublish
	backByFragments
	waysBack = iota
)

// sendBack answers in the way that the message asks for.
func sendBack(t *testing.T, srv *engine.Server, ws *engine.WebSocket, op engine.OpCode, p []byte) {
	var err error
	switch p[0] {
	case backBySend:
		err = ws.Send(op, p)
	case backByPrepared:
		var m *engine.Prepared
		if m, err = engine.Prepare(op, p); err == nil {
			err = ws.SendPrepared(m)
		}
	case backByPublish:
		_, err = srv.Publish(engine.Get[string](ws), engine.Message{Op: op, Data: p})
	case backByFragments:
		err = sendThirds(ws, op, p)
	}
	if err != nil {
		t.Error(err)
	}
}

// Random messages on connections of every kind, cut and fragmented anywhere,
// sent back in every way to readers that fall behind: each comes back as it was,
// in order; also where nearly all of them have to wait for their turn.
func TestRandomCompressedMessagesComeBackInOrder(t *testing.T) {
	for name, budget := range map[string]loop.Cost{"default": 0, "tiny budget": 1} {
		t.Run(name, func(t *testing.T) { comeBackInOrder(t, budget) })
	}
}

func comeBackInOrder(t *testing.T, budget loop.Cost) {
	messages := 400
	if raceEnabled {
		messages = 120
	}
	seed := seeds.First(t)
	srv := &engine.Server{
		Loops: 2, Limits: engine.Limits{MaxQueued: -1, WriteTimeout: -1}, Slow: engine.Slow{Limit: -1},
		Compression: &engine.Compression{ServerContextTakeover: true, ClientContextTakeover: true, Threshold: 50},
	}
	srv.OnUpgrade = func(ws *engine.WebSocket, req *engine.Request) {
		topic := fmt.Sprintf("%p", ws)
		engine.Set(ws, topic)
		if err := ws.Subscribe(topic); err != nil {
			t.Error(err)
		}
	}
	srv.Callbacks.OnText = func(ws *engine.WebSocket, p []byte) { sendBack(t, srv, ws, engine.Text, p) }
	srv.Callbacks.OnBinary = func(ws *engine.WebSocket, p []byte) { sendBack(t, srv, ws, engine.Binary, p) }
	engine.SetIterationBudget(srv, budget)
	addr := listenWithSendBuffer(t, srv, 4096)
	var running sync.WaitGroup
	for i, offer := range append(fanOffers,
		"permessage-deflate; client_no_context_takeover",
		"permessage-deflate; client_max_window_bits=8; server_max_window_bits=8") {
		p := newDeflateClient(openNarrow(t, addr, offering(offer)))
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		sent := make(chan message, messages)
		running.Go(func() {
			defer close(sent)
			writeRandomly(p, rng, messages, sent)
		})
		running.Go(func() { wantInOrder(t, p, sent) })
	}
	running.Wait()
	if st := srv.Stats(); budget == 1 && st.Deferred < st.MessagesIn/10 {
		t.Errorf("%d of %d messages had to wait", st.Deferred, st.MessagesIn)
	}
}

// writeRandomly writes n messages. They come out of sent in groups, so that the
// reader falls behind.
func writeRandomly(p *deflateClient, rng *rand.Rand, n int, sent chan<- message) {
	var group []message
	for range n {
		m := randomMessage(rng)
		group = append(group, m)
		octets := p.randomFrames(rng, m)
		for len(octets) > 0 {
			cut := min(1+rng.IntN(3000), len(octets))
			_ = p.SetWriteDeadline(time.Now().Add(patience))
			if _, err := p.Write(octets[:cut]); err != nil {
				p.t.Error(err)
				return
			}
			octets = octets[cut:]
		}
		if rng.IntN(20) == 0 {
			for _, m := range group {
				sent <- m
			}
			group = group[:0]
		}
	}
	for _, m := range group {
		sent <- m
	}
}

func randomMessage(rng *rand.Rand) message {
	size := rng.IntN([]int{60, 500, 5000, 40_000}[rng.IntN(4)])
	var body string
	switch rng.IntN(4) {
	case 0:
		body = hexNoise(size)
	case 1:
		body = strings.Repeat("κόσμε ", size/11)
	default:
		body = strings.Repeat(hexNoise(size/8), 4) + string(pattern(size/2))
	}
	op := engine.Text
	if rng.IntN(3) == 0 {
		op, body = engine.Binary, body+noise(rng.IntN(100))
	}
	return message{op, string(rune('a'+rng.IntN(waysBack))) + body}
}

// randomFrames is m as frames, compressed or not, with pongs in between.
func (p *deflateClient) randomFrames(rng *rand.Rand, m message) (octets []byte) {
	payload, first := []byte(m.payload), codec.AppendMaskedFrame
	if p.deflater != nil && rng.IntN(5) > 0 {
		payload, first = p.deflater.AppendMessage(nil, payload, p.sent), codec.AppendMaskedCompressedFrame
	}
	op := m.op
	for rng.IntN(3) == 0 {
		cut := rng.IntN(len(payload) + 1)
		octets = first(octets, op, false, payload[:cut])
		octets = codec.AppendMaskedFrame(octets, codec.Pong, true, nil)
		payload, first, op = payload[cut:], codec.AppendMaskedFrame, codec.Continuation
	}
	return first(octets, op, true, payload)
}

// wantInOrder reads what was sent, message by message.
func wantInOrder(t *testing.T, p *deflateClient, sent <-chan message) {
	defer func() {
		for range sent { // or the writer would wait for ever
			continue
		}
	}()
	for want := range sent {
		h, got, err := p.readMessage()
		op := h.OpCode
		for err == nil && !h.Fin {
			var more []byte
			h, more, err = p.readFrame()
			got = append(got, more...)
		}
		if err != nil || op != want.op || string(got) != want.payload {
			t.Errorf("%q: got %v of %d bytes, %v; want %v", p.extensions, op, len(got), err, want)
			return
		}
	}
}
