package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// H10, H11: what is malformed or asks too much is declined, and the next offer
// tried. The rest is RFC 7692 section 7.1.
func TestDeflateOffersAreAnswered(t *testing.T) {
	const (
		none   = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		client = "; client_max_window_bits"
	)
	zero, both := engine.Compression{}, engine.Compression{ServerContextTakeover: true, ClientContextTakeover: true}
	small := engine.Compression{ServerMaxWindowBits: 9, ClientMaxWindowBits: 10}
	for _, tt := range []struct {
		name        string
		compression engine.Compression
		offer, want string
	}{
		{"plain offer", zero, "permessage-deflate", none},
		{"as browsers offer", zero, "permessage-deflate; client_max_window_bits", none},
		{"as browsers offer, takeover", both, "permessage-deflate; client_max_window_bits", "permessage-deflate"},
		{"the client forbids the server", both, "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"},
		{"the client forbids itself", both, "permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"},
		{"the server's alone", engine.Compression{ServerContextTakeover: true}, "permessage-deflate", "permessage-deflate; client_no_context_takeover"},
		{"the client's alone", engine.Compression{ClientContextTakeover: true}, "permessage-deflate", "permessage-deflate; server_no_context_takeover"},
		{"the client bounds the server", zero, "permessage-deflate; server_max_window_bits=9", none + "; server_max_window_bits=9"},
		{"the client bounds itself", zero, "permessage-deflate; client_max_window_bits=11", none + client + "=11"},
		{"the server bounds both", small, "permessage-deflate; client_max_window_bits", none + "; server_max_window_bits=9" + client + "=10"},
		{"the smaller of two", small, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=9", none + "; server_max_window_bits=9" + client + "=9"},
		{"a client that cannot bound itself", small, "permessage-deflate", ""},
		{"the smallest", zero, "permessage-deflate; server_max_window_bits=8", none + "; server_max_window_bits=8"},
		{"H10 7 bits", zero, "permessage-deflate; server_max_window_bits=7", ""},
		{"H10 16 bits", zero, "permessage-deflate; server_max_window_bits=16", ""},
		{"H10 no bits", zero, "permessage-deflate; server_max_window_bits", ""},
		{"H10 no number", zero, "permessage-deflate; server_max_window_bits=abc", ""},
		{"H10 leading zero", zero, "permessage-deflate; server_max_window_bits=09", ""},
		{"H10 99 bits", zero, "permessage-deflate; client_max_window_bits=99", ""},
		{"H10 unknown parameter", zero, "permessage-deflate; unknown_parameter", ""},
		{"H10 value where none is", zero, "permessage-deflate; server_no_context_takeover=1", ""},
		{"H10 parameter twice", zero, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", ""},
		{"H10 malformed", zero, "permessage-deflate; =", ""},
		{"H10 another extension", zero, "x-webkit-deflate-frame", ""},
		{"H11 the second is good", zero, "permessage-deflate; server_max_window_bits=7, permessage-deflate", none},
		{"H11 the third is good", small, "bad;;, permessage-deflate, permessage-deflate; client_max_window_bits", none + "; server_max_window_bits=9" + client + "=10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.compression.Threshold = 1
			srv := &engine.Server{Callbacks: echo, Compression: &tt.compression}
			addr := listen(t, srv)
			c := openRaw(t, addr, offering(tt.offer))
			if c.extensions != tt.want {
				t.Fatalf("answered %q, want %q", c.extensions, tt.want)
			}
			p := newDeflateClient(c)
			for range 3 {
				p.sendMessage(engine.Text, string(pattern(3000)))
				p.wantMessage(engine.Text, string(pattern(3000)))
			}
			if got := srv.Stats().Compressed; (got == 1) != (tt.want != "") {
				t.Errorf("%d connections with compression", got)
			}
		})
	}
}

// H10, H11 over net/http: the same answer.
func TestDeflateIsAgreedBehindNetHTTP(t *testing.T) {
	opened := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{
		Callbacks: echo, Compression: &engine.Compression{ServerContextTakeover: true, Threshold: 1},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
	}
	c := openRaw(t, mount(t, srv), offering("permessage-deflate; server_max_window_bits=77, permessage-deflate; server_max_window_bits=10"))
	want := "permessage-deflate; client_no_context_takeover; server_max_window_bits=10"
	if c.extensions != want {
		t.Fatalf("answered %q, want %q", c.extensions, want)
	}
	if got := within(t, "OnUpgrade", opened).Extensions(); got != want {
		t.Errorf("Extensions() = %q", got)
	}
	p := newDeflateClient(c)
	for range 3 {
		p.sendMessage(engine.Text, string(pattern(3000)))
		p.wantMessage(engine.Text, string(pattern(3000)))
	}
}

// H12: an answer that was not offered, or goes beyond the offer, fails the
// handshake.
func TestDialRefusesDeflateItDidNotOffer(t *testing.T) {
	zero := &engine.Compression{}
	for _, tt := range []struct {
		answer      string
		compression *engine.Compression
	}{
		{"permessage-deflate", nil},
		{"permessage-deflate; server_no_context_takeover; server_max_window_bits=7", zero},
		{"permessage-deflate; server_no_context_takeover; server_max_window_bits=16", zero},
		{"permessage-deflate; server_no_context_takeover; client_max_window_bits", zero},
		{"permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover", zero},
		{"permessage-deflate; server_no_context_takeover; unknown", zero},
		{"permessage-bzip2", zero},
		{"permessage-deflate; server_no_context_takeover; server_max_window_bits=12", &engine.Compression{ServerMaxWindowBits: 9}},
		{"permessage-deflate; server_no_context_takeover", &engine.Compression{ServerMaxWindowBits: 9}},
		{"permessage-deflate; server_no_context_takeover; client_max_window_bits=12", &engine.Compression{ClientMaxWindowBits: 9}},
	} {
		t.Run(tt.answer, func(t *testing.T) {
			s := fake(t, func(nc net.Conn, req *http.Request) {
				_, _ = io.WriteString(nc, switching(req, "Sec-WebSocket-Extensions: "+tt.answer))
				_, _ = io.Copy(io.Discard, nc)
			})
			_, err := dialFake(s, &engine.DialOptions{Compression: tt.compression})
			var refused *handshake.ResponseError
			if !errors.As(err, &refused) || refused.Header != "Sec-WebSocket-Extensions" {
				t.Errorf("Dial = %v, want the extension refused", err)
			}
		})
	}
}

// S-d: Tornado drops parameters without a value, and keeps its window.
func TestDialTakesAServerThatKeepsItsWindow(t *testing.T) {
	const rounds = 5
	text := func(i int) string { return strings.Repeat(fmt.Sprint(i, " much the same "), 100) }
	for _, compression := range []engine.Compression{{}, {ClientContextTakeover: true}, {ServerMaxWindowBits: 9}} {
		answer := "permessage-deflate"
		bits := codec.MaxWindowBits
		if compression.ServerMaxWindowBits > 0 {
			bits = compression.ServerMaxWindowBits
			answer += fmt.Sprint("; server_max_window_bits=", bits)
		}
		offered := make(chan string, 1)
		s := fake(t, func(nc net.Conn, req *http.Request) {
			offered <- req.Header.Get("Sec-WebSocket-Extensions")
			_, _ = io.WriteString(nc, switching(req, "Sec-WebSocket-Extensions: "+answer))
			deflater, sent := codec.NewDeflater(bits), codec.NewWindow(bits)
			for i := range rounds {
				packed := deflater.AppendMessage(nil, []byte(text(i)), sent)
				_, _ = nc.Write(codec.AppendCompressedFrame(nil, codec.Text, true, packed))
			}
			_, _ = io.Copy(io.Discard, nc)
		})
		got := make(chan string, rounds)
		ws, err := dialFake(s, &engine.DialOptions{Compression: &compression, Callbacks: engine.Callbacks{
			OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) },
		}})
		if err != nil {
			t.Fatalf("offered %q, answered %q: %v", <-offered, answer, err)
		}
		for i := range rounds {
			if received := within(t, "a message", got); received != text(i) {
				t.Fatalf("message %d is %.60q", i, received)
			}
		}
		if ws.Extensions() != answer {
			t.Errorf("Extensions() = %q, want %q", ws.Extensions(), answer)
		}
		ws.CloseNow()
		within(t, "the end", ws.Done())
	}
}

// What Dial offers and a server answers is what Extensions tells on both sides.
func TestDialAgreesOnDeflate(t *testing.T) {
	for _, server := range []*engine.Compression{nil, {}, {ServerContextTakeover: true, ClientContextTakeover: true}, {ServerMaxWindowBits: 9, ClientMaxWindowBits: 8}} {
		for _, client := range []*engine.Compression{nil, {}, {ServerContextTakeover: true, ClientContextTakeover: true}, {ServerMaxWindowBits: 11, ClientMaxWindowBits: 10, ServerContextTakeover: true}} {
			t.Run(fmt.Sprintf("%+v to %+v", client, server), func(t *testing.T) {
				opened := make(chan *engine.WebSocket, 1)
				got := make(chan string, 1)
				addr := listen(t, &engine.Server{
					Callbacks: echo, Compression: server,
					OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
				})
				ws := dialEngine(t, addr, &engine.DialOptions{Compression: client, Callbacks: engine.Callbacks{
					OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) },
				}})
				peer := within(t, "OnUpgrade", opened)
				if (ws.Extensions() != "") != (server != nil && client != nil) || ws.Extensions() != peer.Extensions() {
					t.Errorf("the client agreed to %q, the server to %q", ws.Extensions(), peer.Extensions())
				}
				for i := range 5 {
					text := strings.Repeat(fmt.Sprint(i, " of the same message "), 100)
					if err := ws.SendText(text); err != nil {
						t.Fatal(err)
					}
					if echoed := within(t, "the echo", got); echoed != text {
						t.Fatalf("got %.40q back", echoed)
					}
				}
			})
		}
	}
}

// Below the threshold nothing is compressed, nor what does not shrink.
func TestWhatCompressionDoesNotHelpGoesOutPlain(t *testing.T) {
	srv := &engine.Server{Callbacks: echo, Compression: &engine.Compression{Threshold: 100}}
	addr := listen(t, srv)
	c := openRaw(t, addr, offering("permessage-deflate"))
	for _, tt := range []struct {
		text string
		rsv1 bool
	}{
		{strings.Repeat("a", 99), false},
		{strings.Repeat("a", 100), true},
		{strings.Repeat("a", 70_000), true},
		{noise(100), false},
		{noise(5000), false},
	} {
		c.sendFrame(engine.Binary, true, []byte(tt.text))
		h, payload, err := c.readFrame()
		if err != nil || h.Rsv1 != tt.rsv1 || h.Rsv1 != (string(payload) != tt.text) {
			t.Errorf("%d bytes came back with RSV1 %v, %v", len(tt.text), h.Rsv1, err)
		}
	}
	c.send(testkit.Masked(codec.Ping, strings.Repeat("p", 125)))
	if h, _, err := c.readFrame(); err != nil || h.Rsv1 {
		t.Errorf("a pong of 125 bytes came with RSV1 %v, %v", h.Rsv1, err)
	}
	c.sendFrame(codec.Close, true, nil)
	if h, _, err := c.readFrame(); err != nil || h.Rsv1 {
		t.Errorf("the close frame came with RSV1 %v, %v", h.Rsv1, err)
	}
	if n := srv.Stats().Compressions; n != 4 {
		t.Errorf("%d messages were compressed", n)
	}
}

// The budget for takeover: who comes when it is used up gets none, and what a
// connection held is free again when it ends.
func TestTakeoverFallsBackWithinItsBudget(t *testing.T) {
	const room, each = 3, 1<<codec.MaxSendWindowBits + 1<<codec.MaxWindowBits
	srv := &engine.Server{Callbacks: echo, Compression: &engine.Compression{
		ServerContextTakeover: true, ClientContextTakeover: true, Threshold: 1,
		Memory: room * (each + 1000),
	}}
	addr := listen(t, srv)
	const offer, full, none = "permessage-deflate; client_max_window_bits", "permessage-deflate",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	var peers []*rawClient
	open := func(want string) {
		t.Helper()
		c := openRaw(t, addr, offering(offer))
		if c.extensions != want {
			t.Fatalf("connection %d agreed to %q, want %q", len(peers), c.extensions, want)
		}
		peers = append(peers, c)
		p := newDeflateClient(c)
		for range 4 {
			text := noise(16_000)
			p.sendMessage(engine.Binary, text)
			p.wantMessage(engine.Binary, text)
		}
	}
	for range room {
		open(full)
	}
	open(none)
	open(none)
	st, m := srv.Stats(), srv.Memory()
	if st.Compressed != room+2 || st.TakeoverReserve > srv.Compression.Memory || m.Compression > st.TakeoverReserve || m.Compression < room*each {
		t.Errorf("%d connections, %d bytes reserved, %d held", st.Compressed, st.TakeoverReserve, m.Compression)
	}
	_ = peers[1].Close()
	eventually(t, "the end of one", func() bool { return srv.Stats().Compressed == room+1 })
	open(full)
	open(none)
	for _, c := range peers {
		_ = c.Close()
	}
	eventually(t, "the end of all", func() bool {
		st := srv.Stats()
		return st.Compressed == 0 && st.TakeoverReserve == 0 && srv.Memory() == engine.Memory{}
	})
	// A handshake that fails after the offer was settled gives back too.
	srv2 := &engine.Server{
		Compression:   srv.Compression,
		ShouldUpgrade: func(*engine.Request) (http.Header, error) { return http.Header{"Upgrade": {"h2c"}}, nil },
	}
	c := dialRaw(t, listen(t, srv2))
	c.send(testkit.UpgradeHead("x", offering(offer)))
	c.wantRefused(http.StatusInternalServerError)
	_ = c.Close()
	eventually(t, "the end of the refused one", func() bool {
		st := srv2.Stats()
		return srv2.Conns() == 0 && st.Compressed == 0 && st.TakeoverReserve == 0
	})
}

// A compressed message is whole for OnFragment and for the worker pool.
func TestCompressedMessagesReachEveryKindOfCallback(t *testing.T) {
	text := string(pattern(5000))
	packed := string(deflated(text))
	octets := frame(0x41, packed[:20]) + frame(0x00, packed[20:30]) + frame(0x80, packed[30:]) + frame(0x81, "plain")
	for name, srv := range map[string]*engine.Server{
		"OnText on workers": {Dispatch: &engine.Dispatch{}, Callbacks: echo},
		"OnFragment": {Callbacks: engine.Callbacks{OnFragment: func(ws *engine.WebSocket, op engine.OpCode, piece []byte, fin bool) {
			_ = ws.SendFragment(op, piece, fin)
		}}},
		"OnFragment on workers": {Dispatch: &engine.Dispatch{}, Callbacks: engine.Callbacks{
			OnFragment: func(ws *engine.WebSocket, op engine.OpCode, piece []byte, fin bool) {
				_ = ws.SendFragment(op, piece, fin)
			}}},
	} {
		t.Run(name, func(t *testing.T) {
			srv.Compression = &engine.Compression{}
			c := openRaw(t, listen(t, srv), offering("permessage-deflate"))
			c.send(octets)
			p := newDeflateClient(c)
			p.wantMessage(engine.Text, text)
			p.wantMessage(engine.Text, "plain")
		})
	}
}

// Nothing is allocated to inflate and compress.
func TestCompressedEchoAllocatesNothing(t *testing.T) {
	needs(t, noAllocations)
	skipCosts(t)
	const rounds = 2000
	text := string(pattern(1024))
	for name, compression := range map[string]engine.Compression{
		"no takeover": {},
		"takeover":    {ServerContextTakeover: true, ClientContextTakeover: true},
	} {
		t.Run(name, func(t *testing.T) {
			addr := listen(t, &engine.Server{Loops: 1, Callbacks: echo, Compression: &compression})
			c := openRaw(t, addr, offering("permessage-deflate"))
			send, got := []byte(frame(0xc1, string(deflated(text)))), make([]byte, 2048)
			exchange := func(rounds int) {
				for range rounds {
					if _, err := c.Write(send); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(c, got[:2]); err != nil || got[0] != 0xc1 || got[1] > 125 {
						t.Fatalf("% x, %v", got[:2], err)
					}
					if _, err := io.ReadFull(c, got[:got[1]]); err != nil {
						t.Fatal(err)
					}
				}
			}
			exchange(200)
			_, least := leastAllocated(5, func() { exchange(rounds / 5) })
			if least > rounds/500 {
				t.Errorf("%d objects were allocated in %d rounds, want none", least, rounds/5)
			}
		})
	}
}
