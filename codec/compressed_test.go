package codec

import (
	"errors"
	"math/rand/v2"
	"testing"
)

func TestCompressedFramesWrittenAreFramesRead(t *testing.T) {
	d := NewDeflater(MaxWindowBits)
	message := chat(rand.New(rand.NewPCG(1, 2)), 1000)
	p := d.AppendMessage(nil, message, nil)
	server := AppendMaskedCompressedFrame([]byte("x"), Text, false, p[:100])[1:]
	server = AppendMaskedFrame(server, Continuation, true, p[100:])
	client := AppendCompressedFrame([]byte("x"), Text, false, p[:100])[1:]
	client = AppendFrame(client, Continuation, true, p[100:])
	for role, frames := range [][]byte{Server: server, Client: client} {
		var r Reader
		r.Init(&ReaderConfig{Role: Role(role), Rsv1: true})
		ev, ok, _, err := r.Next(frames)
		if !ok || err != nil || !ev.Compressed || ev.OpCode != Text {
			t.Fatalf("%+v, %v, %v", ev, ok, err)
		}
		if out, err := NewInflater().Inflate(ev.Payload, nil, InflateLimit{}); err != nil || string(out) != string(message) {
			t.Errorf("%d bytes, %v", len(out), err)
		}
		r.Reset()
	}
}

// F19: what is inflated is the same however the frames were cut, and whole in
// streaming mode too.
func TestCompressedMessageIsAssembledInStreamingMode(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	d, message := NewDeflater(MaxWindowBits), chat(rng, 3000)
	p := string(d.AppendMessage(nil, message, nil))
	frames := join(masked(0x01, "plain"), masked(0x00, ""), masked(0x80, "!"),
		masked(0x41, p[:10]), masked(0x89, "ping"), masked(0x00, p[10:500]), masked(0x80, p[500:]), masked(0x81, "plain"))
	cfg := &ReaderConfig{Rsv1: true, MaxMessage: int64(len(p))}
	o := checkSplits(t, cfg, frames, rng)
	if o.err != nil || len(o.events) != 4 {
		t.Fatal(o)
	}
	for _, cuts := range []func(int) int{whole, byByte, atRandom(rng)} {
		var r Reader
		r.Init(cfg)
		r.SetStreaming(true)
		inflated, pieces := 0, 0
		for stream := append([]byte(nil), frames...); len(stream) > 0; {
			size := cuts(len(stream))
			b := stream[:size]
			stream = stream[size:]
			for {
				ev, ok, n, err := r.Next(b)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				b = b[n:]
				if !ev.Compressed {
					pieces++
					continue
				}
				inflated++
				out, err := NewInflater().Inflate(ev.Payload, nil, InflateLimit{})
				if !ev.Fin || err != nil || string(out) != string(message) {
					t.Fatalf("fin %v, %d bytes, %v", ev.Fin, len(out), err)
				}
			}
		}
		if inflated != 1 || pieces < 4 {
			t.Errorf("%d messages were inflated, %d pieces came", inflated, pieces)
		}
	}
	// The limits hold for it, though not for what is handed over in pieces.
	for _, tt := range []struct {
		frames []byte
		want   error
	}{
		{masked(0xc1, p), nil},
		{masked(0xc1, p+"x"), ErrMessageTooBig},
		{masked(0x41, p+"x"), ErrMessageTooBig},
		{join(masked(0x41, p), masked(0x80, "x")), ErrMessageTooBig},
		{masked(0x81, string(message)), nil},
	} {
		var r Reader
		r.Init(cfg)
		r.SetStreaming(true)
		_, _, n, err := r.Next(tt.frames)
		if err == nil && n < len(tt.frames) {
			_, _, _, err = r.Next(tt.frames[n:])
		}
		if !errors.Is(err, tt.want) {
			t.Errorf("%.20x: %v, want %v", tt.frames, err, tt.want)
		}
		r.Reset()
	}
}
