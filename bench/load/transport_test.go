package load_test

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/bench/load"
)

func TestChatMessagesAreText(t *testing.T) {
	target := serveFaults(t, func(_, _ int, p []byte) [][]byte {
		if p[21] != ':' || p[len(p)-1] != '}' {
			t.Errorf("the message %q", p)
		}
		return [][]byte{p}
	})
	if w, f := work(t, open(t, load.Config{Target: target, Conns: 2, Payload: load.JSON})); !f.None() || w.Wire != 1024*w.Messages {
		t.Fatalf("%d messages of %d bytes in all, faults %+v", w.Messages, w.Wire, f)
	}
}

func TestCompressionIsAgreedAndDone(t *testing.T) {
	for _, mode := range []load.Mode{load.Echo, load.Fanout} {
		wire := make(map[load.Compression]float64)
		for _, kind := range []load.Compression{load.Deflate, load.Takeover} {
			g := open(t, load.Config{Target: serve(t, bench.Options{Loops: 2, Compression: kind}), Mode: mode, Conns: 20,
				Burst: 2, InFlight: 2, Compression: kind})
			messages := uint64(0)
			windows(t, g, func(m load.Measured) bool { // until the windows of all are full
				messages += m.Messages
				return messages > 100*20
			})
			w, f := work(t, g)
			wire[kind] = float64(w.Wire) / float64(w.Messages)
			// A server may leave a message plain that does not shrink.
			if !f.None() || w.Compressed < w.Messages*9/10 || w.Compressed > w.Messages || wire[kind] > 650 {
				t.Errorf("%s %s: %d of %d messages are compressed, to %.0f bytes of 1024; faults %+v",
					mode, kind, w.Compressed, w.Messages, wire[kind], f)
			}
		}
		if mode == load.Echo && wire[load.Takeover] > 0.9*wire[load.Deflate] {
			t.Errorf("context takeover saves nothing: %v", wire)
		}
	}
}

// Damage shows through the compression.
func TestCompressedMessagesAreChecked(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			s := &standIn{fault: c.fault(), upgrader: websocket.Upgrader{EnableCompression: true}}
			g := start(t, load.Config{Target: serveStandIn(t, s, nil), Mode: load.Fanout, Conns: 5, Burst: 8, Compression: load.Deflate})
			if _, err := g.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, f := work(t, g); counts(f) != c.want || f.First == "" {
				t.Fatalf("found %+v, want %+v", f, c.want)
			}
		})
	}
}

func TestMessagesThatCannotBeInflatedAreCaught(t *testing.T) {
	s := &standIn{upgrader: websocket.Upgrader{EnableCompression: true}, fault: once(func(p []byte) [][]byte {
		return [][]byte{slices.Concat(p, p)} // which is longer than any message
	})}
	g := start(t, load.Config{Target: serveStandIn(t, s, nil), Conns: 2, InFlight: 4, Compression: load.Deflate})
	if _, err := g.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, f := work(t, g); f.Corrupt != 1 || f.Missing != 1 {
		t.Fatalf("found %+v", f)
	}
}

func TestServerThatDoesNotAgreeFailsTheRun(t *testing.T) {
	deflates := websocket.Upgrader{EnableCompression: true}
	for _, c := range []struct {
		name        string
		server      *standIn
		compression load.Compression
		want        string
	}{
		{"no compression", &standIn{}, load.Deflate, "does not agree to permessage-deflate"},
		{"no takeover", &standIn{upgrader: deflates}, load.Takeover, "without context takeover only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.fault = honest
			_, err := start(t, load.Config{Target: serveStandIn(t, c.server, nil), Conns: 2, Compression: c.compression}).Open(t.Context())
			wantLine(t, err, c.want)
		})
	}
}

func TestServerThatAgreesAndDoesNotCompressFailsTheRun(t *testing.T) {
	s := &standIn{fault: honest, upgrader: websocket.Upgrader{EnableCompression: true}, plain: true}
	g := open(t, load.Config{Target: serveStandIn(t, s, nil), Conns: 2, Compression: load.Deflate})
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := g.Measure(t.Context(), 0, window, nil); err != nil {
			wantLine(t, err, "compressed none of")
			return
		}
	}
	t.Fatal("the run goes on")
}

func TestMessagesAreCheckedOverTLS(t *testing.T) {
	target := serve(t, bench.Options{Loops: 2, TLS: true})
	for name, cfg := range map[string]load.Config{
		"echo":   {Conns: 20, Size: 1024, InFlight: 2},
		"large":  {Conns: 2, Size: 100_000},
		"fanout": {Mode: load.Fanout, Conns: 20, Burst: 5},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Target = target
			if w, f := work(t, open(t, cfg)); !f.None() || w.Messages == 0 {
				t.Fatalf("%d messages, faults %+v", w.Messages, f)
			}
		})
	}
	t.Run("connect", func(t *testing.T) {
		windows(t, start(t, load.Config{Target: target, Mode: load.Connect, Conns: 4}), anything)
	})
	t.Run("storm", func(t *testing.T) {
		g := open(t, load.Config{Target: target, Conns: 20})
		if o, err := g.Storm(t.Context()); err != nil || o.Conns != 20 {
			t.Fatalf("%d connections, error %v", o.Conns, err)
		}
	})
}

func TestPeersAreCheckedOverTLSToo(t *testing.T) {
	certificate, err := bench.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	s := &standIn{fault: honest, upgrader: websocket.Upgrader{EnableCompression: true}}
	g := open(t, load.Config{Target: serveStandIn(t, s, config), Conns: 5, Compression: load.Deflate})
	if w, f := work(t, g); !f.None() || w.Messages == 0 {
		t.Fatalf("%d messages, faults %+v", w.Messages, f)
	}
}

func TestServerWithoutTheSameTLSFailsTheRun(t *testing.T) {
	secure := func(target string) string { return "wss" + target[len("ws"):] }
	old := &tls.Config{MaxVersion: tls.VersionTLS12}
	for name, c := range map[string]struct{ target, want string }{
		"no TLS":          {secure(serveFaults(t, honest)), "does not speak TLS"},
		"TLS 1.2":         {serveStandIn(t, &standIn{fault: honest}, old), "protocol version"},
		"TLS, without us": {"ws" + serve(t, bench.Options{Loops: 1, TLS: true})[len("wss"):], "instead of answering"},
	} {
		t.Run(name, func(t *testing.T) { wantLine(t, openError(t, c.target), c.want) })
	}
}
