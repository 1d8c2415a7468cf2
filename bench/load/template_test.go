package load

import (
	"encoding/json"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
)

// forms are the shapes a message has on its way to the server.
func forms() map[string]Config {
	forms := make(map[string]Config)
	for name, cfg := range map[string]Config{
		"noise":        {Size: MinSize},
		"longer noise": {Size: 70_000},
		"json":         {Size: minChat, Payload: JSON},
		"longer json":  {Size: 70_000, Payload: JSON},
		"deflate":      {Payload: JSON, Compression: Deflate},
		"takeover":     {Payload: JSON, Compression: Takeover},
	} {
		forms[name] = cfg.withDefaults()
	}
	return forms
}

// arrives reads a frame as a server does that agreed to windows of 2^bits bytes.
func arrives(t *testing.T, frame []byte, window *codec.Window) (codec.OpCode, []byte) {
	t.Helper()
	var r codec.Reader
	r.Init(&codec.ReaderConfig{Role: codec.Server, Rsv1: true})
	ev, ok, n, err := r.Next(append([]byte(nil), frame...))
	if err != nil || !ok || n != len(frame) {
		t.Fatalf("a frame of %d bytes: %v %d, error %v", len(frame), ok, n, err)
	}
	p := ev.Payload
	if ev.Compressed {
		if p, err = codec.NewInflater().Inflate(p, window, codec.InflateLimit{}); err != nil {
			t.Fatal(err)
		}
	}
	return ev.OpCode, p
}

func TestEveryMessageArrivesWithItsStamp(t *testing.T) {
	for name, cfg := range forms() {
		t.Run(name, func(t *testing.T) {
			ts := newTemplates(&cfg, codec.MaxWindowBits)
			window := codec.NewWindow(codec.MaxWindowBits)
			for seq := range uint32(len(ts.all) + 1) {
				s := stamp{kind: kindEcho, from: 123456, seq: 987654321 + seq, at: 1 << 51}
				op, p := arrives(t, ts.stamped(s), window)
				if len(p) != cfg.Size || (op == codec.Text) != (cfg.Payload == JSON) {
					t.Fatalf("%v of %d bytes", op, len(p))
				}
				got, size, ok := ts.read(p)
				if !ok || got != s {
					t.Fatalf("read %+v %v, want %+v", got, ok, s)
				}
				if p[0] != kindEcho || string(p[size:]) != string(ts.of(s).want[size:]) {
					t.Fatal("the payload behind the stamp is not the one expected back")
				}
			}
		})
	}
}

func TestEveryBitOfAStampCounts(t *testing.T) {
	for _, name := range []string{"noise", "json"} {
		cfg := forms()[name]
		ts := newTemplates(&cfg, codec.MaxWindowBits)
		_, p := arrives(t, ts.stamped(stamp{kind: kindEcho, from: 123456, seq: 987654321, at: 1 << 51}), nil)
		_, size, _ := ts.read(p)
		for bit := range 8 * size {
			p[bit/8] ^= 1 << (bit % 8)
			if got, _, ok := ts.read(p); ok {
				t.Errorf("%s, bit %d turned: read as %+v", name, bit, got)
			}
			p[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// Chat messages are JSON behind the stamp, of the size asked for, and differ as
// far back as a window reaches.
func TestChatMessagesAreRealisticJSON(t *testing.T) {
	for _, size := range []int{minChat, 1 << 10, 16 << 10} {
		cfg := Config{Size: size, Payload: JSON}.withDefaults()
		seen := make(map[string]int)
		ts := newTemplates(&cfg, codec.MaxWindowBits)
		for n, one := range ts.all {
			body := "{" + string(one.want[textStampSize:])
			var message struct {
				Type, Room, Text string
				From             struct{ Name string }
				Sent             int64
			}
			if err := json.Unmarshal([]byte(body), &message); err != nil || len(one.want) != size {
				t.Fatalf("%d bytes, error %v: %s", len(one.want), err, body)
			}
			if message.Type != "message" || message.Room == "" || message.From.Name == "" || message.Sent == 0 || message.Text == "" {
				t.Fatalf("%+v", message)
			}
			if before, ok := seen[body]; ok {
				t.Fatalf("message %d is message %d again", n, before)
			}
			seen[body] = n
		}
		if reach := len(ts.all) * size; reach < 1<<codec.MaxWindowBits {
			t.Errorf("messages of %d bytes come again after %d", size, reach)
		}
	}
}

// Where a server bounds the clients' window (RFC 7692 section 7.1.2.2), messages
// refer back less far, which makes them longer.
func TestMessagesKeepToTheWindowOfTheServer(t *testing.T) {
	cfg := Config{Size: 16 << 10, Payload: JSON, Compression: Takeover}.withDefaults()
	sizes := make(map[int]int)
	for _, bits := range []int{codec.MinWindowBits, codec.MaxWindowBits} {
		ts := newTemplates(&cfg, bits)
		s := stamp{kind: kindEcho}
		frame := ts.stamped(s)
		if _, p := arrives(t, frame, nil); string(p[textStampSize:]) != string(ts.of(s).want[textStampSize:]) {
			t.Fatalf("%d bits: it is another message now", bits)
		}
		sizes[bits] = len(frame)
	}
	if sizes[codec.MinWindowBits] <= sizes[codec.MaxWindowBits] {
		t.Errorf("sizes by bits: %v", sizes)
	}
}
