package engine_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
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
		OnUpgrade: func(ws *engine.WebSocket, _ *handshake.Request) { opened <- ws },
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
		{"permessage-deflate", zero}, // server_no_context_takeover is missing
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

// What Dial offers and a server answers is what Extensions tells on both sides.
func TestDialAgreesOnDeflate(t *testing.T) {
	for _, server := range []*engine.Compression{nil, {}, {ServerContextTakeover: true, ClientContextTakeover: true}, {ServerMaxWindowBits: 9, ClientMaxWindowBits: 8}} {
		for _, client := range []*engine.Compression{nil, {}, {ServerContextTakeover: true, ClientContextTakeover: true}, {ServerMaxWindowBits: 11, ClientMaxWindowBits: 10, ServerContextTakeover: true}} {
			t.Run(fmt.Sprintf("%+v to %+v", client, server), func(t *testing.T) {
				opened := make(chan *engine.WebSocket, 1)
				got := make(chan string, 1)
				addr := listen(t, &engine.Server{
					Callbacks: echo, Compression: server,
					OnUpgrade: func(ws *engine.WebSocket, _ *handshake.Request) { opened <- ws },
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

// F04: RSV1 belongs to the first frame of a message, where compression was
// agreed on.
func TestRSV1IsCheckedWithCompression(t *testing.T) {
	addr := listen(t, &engine.Server{Callbacks: echo, Compression: &engine.Compression{}})
	packed := string(deflated("hello"))
	for _, tt := range []struct {
		name, octets string
		agreed       bool
		want         engine.StatusCode // 0: an echo
	}{
		{"text", frame(0xc1, packed), true, 0},
		{"binary", frame(0xc2, packed), true, 0},
		{"first of two fragments", frame(0x41, packed[:2]) + frame(0x80, packed[2:]), true, 0},
		{"a ping in between", frame(0x41, packed[:2]) + frame(0x8a, "") + frame(0x80, packed[2:]), true, 0},
		{"without RSV1", frame(0x81, "hello"), true, 0},
		{"second fragment", frame(0x41, packed[:2]) + frame(0xc0, packed[2:]), true, engine.StatusProtocolError},
		{"second fragment alone", frame(0x01, "he") + frame(0xc0, packed), true, engine.StatusProtocolError},
		{"ping", frame(0xc9, ""), true, engine.StatusProtocolError},
		{"pong", frame(0xca, ""), true, engine.StatusProtocolError},
		{"close", frame(0xc8, ""), true, engine.StatusProtocolError},
		{"RSV2", frame(0xe1, packed), true, engine.StatusProtocolError},
		{"RSV3", frame(0xd1, packed), true, engine.StatusProtocolError},
		{"not agreed", frame(0xc1, packed), false, engine.StatusProtocolError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openRaw(t, addr)
			if tt.agreed {
				c = openRaw(t, addr, offering("permessage-deflate"))
			}
			c.send(tt.octets)
			if tt.want != 0 {
				c.wantClose(tt.want)
				return
			}
			if _, got, err := c.readFrame(); err != nil || string(got) != "hello" {
				t.Fatalf("got %q, %v", got, err)
			}
		})
	}
}

// F11, F12, F14, and F13 with a small limit.
func TestCompressedMessagesAreCheckedInflated(t *testing.T) {
	const limit = 100_000
	whole := string(deflated(string(pattern(2000))))
	bomb := string(deflated(strings.Repeat("\x00", 100<<20)))
	addr := listen(t, &engine.Server{Callbacks: echo,
		Compression: &engine.Compression{}, Limits: engine.Limits{MaxMessage: limit}})
	ratio := listen(t, &engine.Server{Callbacks: echo,
		Compression: &engine.Compression{MaxRatio: 100}, Limits: engine.Limits{MaxMessage: -1}})
	for _, tt := range []struct {
		name, addr, octets string
		want               engine.StatusCode // 0: an echo
	}{
		{"F12 bad byte", addr, frame(0xc1, string(deflated("ok\xff"))), engine.StatusInvalidFramePayloadData},
		{"F12 surrogate", addr, frame(0xc1, string(deflated("\xed\xa0\x80"))), engine.StatusInvalidFramePayloadData},
		{"F12 cut rune", addr, frame(0xc1, string(deflated(strings.Repeat("a", 5000)+"\xe2\x82"))), engine.StatusInvalidFramePayloadData},
		{"F12 binary", addr, frame(0xc2, string(deflated("ok\xff"))), 0},
		{"F11 in fragments", addr, frame(0x41, string(deflated("\xc3(")[:2])) + frame(0x80, string(deflated("\xc3(")[2:])), engine.StatusInvalidFramePayloadData},
		{"F10 at the limit", addr, frame(0xc2, string(deflated(strings.Repeat("a", limit)))), 0},
		{"F10 over the limit", addr, frame(0xc2, string(deflated(strings.Repeat("a", limit+1)))), engine.StatusMessageTooBig},
		{"F13 bomb", addr, frame(0xc2, bomb[:90_000]), engine.StatusMessageTooBig},
		{"F13 bomb in fragments", addr, frame(0x42, bomb[:1000]) + frame(0x00, bomb[1000:2000]) + frame(0x80, bomb[2000:3000]), engine.StatusMessageTooBig},
		{"F13 ratio", ratio, frame(0xc2, bomb), engine.StatusMessageTooBig},
		{"F14 cut", addr, frame(0xc2, whole[:len(whole)-9]), engine.StatusInvalidFramePayloadData},
		{"F14 garbage", addr, frame(0xc2, "\xff\xff\xff\xff\xff"), engine.StatusInvalidFramePayloadData},
		{"F14 before the beginning", addr, frame(0xc2, "\x02\x13\x00\x00"), engine.StatusInvalidFramePayloadData},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openRaw(t, tt.addr, offering("permessage-deflate"))
			c.send(tt.octets)
			if tt.want != 0 {
				c.wantClose(tt.want)
				return
			}
			if _, _, err := c.readFrame(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// F13: a bomb costs what arrived of it, not what it inflates to.
func TestDeflateBombsAreBounded(t *testing.T) {
	skipCosts(t)
	const bombs = 20
	bomb := deflatedZeros(1 << 30)
	const limit = 1<<20 + 32<<10
	if len(bomb) > limit || len(bomb) < 1<<20-32<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	whole := frame(0xc2, string(bomb))
	fragments := ""
	for rest, first := bomb, byte(0x42); len(rest) > 0; first = 0 {
		n := min(len(rest), 50_000)
		if n == len(rest) {
			first |= 0x80
		}
		fragments += frame(first, string(rest[:n]))
		rest = rest[n:]
	}
	addr := listen(t, &engine.Server{Loops: 1, Callbacks: echo, Compression: &engine.Compression{}, Limits: engine.Limits{MaxMessage: int64(limit)}})
	for name, octets := range map[string]string{"whole": whole, "in fragments": fragments} {
		explode := func() {
			c := openRaw(t, addr, offering("permessage-deflate"))
			c.send(octets)
			c.wantClose(engine.StatusMessageTooBig)
		}
		explode()
		each, _ := leastAllocated(bombs, explode)
		// What arrived is in a buffer that doubled (F09); the codec's tests look at
		// what is held at a time.
		if each > 2*limit+64<<10 {
			t.Errorf("a bomb %s made the server allocate %d bytes, the limit is %d", name, each, limit)
		}
	}
}

// deflatedZeros returns the payload of a compressed message of size zeros.
func deflatedZeros(size int) []byte {
	const part = 1 << 20
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // the level exists
	zeros := make([]byte, part)
	w.Write(zeros)
	w.Flush()
	first := b.Len()
	w.Write(zeros)
	w.Flush()
	again := b.Bytes()[first:] // it refers back to zeros only
	p := slices.Concat(b.Bytes()[:first], bytes.Repeat(again, size/part-1))
	return p[:len(p)-4]
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
	c.send(masked(codec.Ping, strings.Repeat("p", 125)))
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
			text := noise(20_000)
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
		ShouldUpgrade: func(*handshake.Request) (http.Header, error) { return http.Header{"Upgrade": {"h2c"}}, nil },
	}
	c := dialRaw(t, listen(t, srv2))
	c.send(upgradeHead("x", offering(offer)))
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
