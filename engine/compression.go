package engine

import (
	"cmp"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/handshake"
)

// Compression turns on permessage-deflate (RFC 7692) where the other side
// agrees. The zero value compresses each message by itself: no memory is held
// between messages, and what is published is compressed once for all
// subscribers.
//
// It is off unless it is asked for: it costs many times the CPU of a plain
// message, gains little on the short ones of a chat, and where secrets and text
// of an attacker are compressed together, the length tells of the secrets.
type Compression struct {
	// ServerContextTakeover lets the server refer back to the messages it sent
	// before, and ClientContextTakeover the client (section 7.1.1), unless the
	// other side forbids it. Similar messages become much smaller, up to 16 KiB
	// each: what this package sends beyond that refers to nothing. Each direction
	// takes memory for as long as the connection lives: see Memory.
	//
	// What is published refers to nothing, so that it is compressed once. The
	// next message sent to this connection alone begins anew.
	//
	// Dial asks the server to forgo takeover where ServerContextTakeover is false,
	// and takes a server that does not agree all the same.
	ServerContextTakeover bool
	ClientContextTakeover bool

	// ServerMaxWindowBits and ClientMaxWindowBits bound how far back each side
	// refers: 8 to 15 for 256 bytes to 32 KiB (section 7.1.2). Default: 15. A
	// server with ClientMaxWindowBits below 15 declines clients that cannot
	// bound theirs. What is published is compressed once for each size in use.
	ServerMaxWindowBits int
	ClientMaxWindowBits int

	// Threshold is the size in bytes from which messages are compressed.
	// Default: 256, where the JSON of a chat begins to shrink by a third without
	// takeover; half of that shrinks by a tenth, less than that grows. 1 for all.
	Threshold int

	// Memory is the most bytes that a server sets aside for context takeover of
	// all connections together, those of other endpoints included. Connections beyond it are compressed without.
	// Default: 64 MiB; NoLimit turns it off. Dial ignores it.
	Memory int

	// MaxRatio is how many times its compressed size a received message of more
	// than 64 KiB may have, looked at while it inflates. Default: off, as
	// Limits.MaxMessage bounds what inflates; set it where you turn that off. The
	// refusal is 1009.
	MaxRatio int
}

const defaultThreshold = 256

// compressor is the permessage-deflate of one Endpoint, or of one Dial.
type compressor struct {
	// Immutable.
	options Compression
	role    codec.Role

	frames.Compressor
	*deflated
}

// packer is the part of c that packs frames; nil without c.
func (c *compressor) packer() *frames.Compressor {
	if c == nil {
		return nil
	}
	return &c.Compressor
}

// deflated counts the permessage-deflate of all endpoints of a Server, or of one Dial.
type deflated struct {
	conns    atomic.Int64 // that agreed on it
	reserved atomic.Int64 // bytes for takeover
	windows  atomic.Int64 // bytes that takeover holds
	counts   frames.Counts
}

// newCompressor returns nil without options.
func newCompressor(options *Compression, e *settings, counts *deflated) *compressor {
	if options == nil {
		return nil
	}
	c := &compressor{options: *options, role: e.role, deflated: counts}
	c.Counts = &counts.counts
	for _, bits := range [...]*int{&c.options.ServerMaxWindowBits, &c.options.ClientMaxWindowBits} {
		setDefault(bits, codec.MaxWindowBits)
		*bits = min(max(*bits, codec.MinWindowBits), codec.MaxWindowBits)
	}
	setDefault(&c.options.Threshold, defaultThreshold)
	setDefault(&c.options.Memory, 64<<20)
	if c.role == codec.Client {
		c.options.Memory = -1
	}
	var head [codec.MaxHeaderSize]byte
	c.MinFrame = c.options.Threshold + codec.PutHeader(&head, codec.Header{Length: int64(c.options.Threshold)})
	return c
}

// publishing compresses what is published, from the smallest Threshold on that the
// endpoints of s have.
func (s *Server) publishing() *compressor {
	of := Compression{}
	take := func(c *Compression) {
		if c == nil {
			return
		}
		threshold := cmp.Or(c.Threshold, defaultThreshold)
		of.Threshold = min(cmp.Or(of.Threshold, threshold), threshold)
	}
	take(s.Compression)
	if s.routes != nil {
		for _, r := range s.routes.all {
			take(r.endpoint.Compression)
		}
	}
	return newCompressor(&of, s.settings, &s.deflated)
}

// agreement is what parameters mean for one side: see outlet.Outlet.
type agreement struct {
	variant  frames.Variant
	takeover uint8
}

// settle says what params mean for this side.
func (c *compressor) settle(params handshake.DeflateParams) agreement {
	own, peer := c.sides(params)
	a := agreement{variant: frames.VariantOf(own.bits)}
	if own.takeover {
		a.takeover |= outlet.SendsInContext
	}
	if peer.takeover {
		a.takeover |= outlet.ReceivesInContext
	}
	return a
}

// side is how one side of a connection compresses.
type side struct {
	bits     int
	takeover bool
}

// sides returns how this side is going to compress, which may be less than was
// agreed (RFC 7692 section 7.1), and how the peer may.
func (c *compressor) sides(params handshake.DeflateParams) (own, peer side) {
	server := side{windowBits(params.ServerMaxWindowBits), !params.ServerNoContextTakeover}
	client := side{windowBits(params.ClientMaxWindowBits), !params.ClientNoContextTakeover}
	if c.role == codec.Server {
		return server, client
	}
	client.bits = min(client.bits, c.options.ClientMaxWindowBits)
	client.takeover = client.takeover && c.options.ClientContextTakeover
	return client, server
}

func windowBits(agreed uint8) int {
	if agreed == 0 {
		return codec.MaxWindowBits // §7.1.2
	}
	return int(agreed)
}

// answer settles what the client of ws offers, and returns the value of
// Sec-WebSocket-Extensions for the answer. On the loop.
func (c *compressor) answer(ws *WebSocket, req *handshake.Request) string {
	if c == nil {
		return ""
	}
	params, ok := handshake.NegotiateDeflate(req, handshake.DeflateOptions{
		ServerMaxWindowBits:   c.options.ServerMaxWindowBits,
		ClientMaxWindowBits:   c.options.ClientMaxWindowBits,
		ServerContextTakeover: c.options.ServerContextTakeover,
		ClientContextTakeover: c.options.ClientContextTakeover,
	})
	if !ok {
		return ""
	}
	if !c.reserve(c.cost(params)) { // §7.1.1: a server may forbid both, asked or not
		params.ServerNoContextTakeover, params.ClientNoContextTakeover = true, true
	}
	c.agree(ws, params)
	return handshake.FormatDeflate(params)
}

// offer returns the value of Sec-WebSocket-Extensions for a request. A server that
// forbids itself takeover says so in its answer (RFC 7692 section 7.1.1.1). Where it
// cannot, as Tornado 6.2, which drops parameters without a value, the second offer
// stands: the client keeps a window for what it receives.
func (c *compressor) offer() string {
	if c == nil {
		return ""
	}
	params := handshake.DeflateParams{
		ServerNoContextTakeover: !c.options.ServerContextTakeover,
		ClientNoContextTakeover: !c.options.ClientContextTakeover,
		ClientMaxWindowBits:     1, // without a value (§7.1.2.2): whatever the server likes
	}
	if bits := c.options.ServerMaxWindowBits; bits < codec.MaxWindowBits {
		params.ServerMaxWindowBits = uint8(bits)
	}
	if bits := c.options.ClientMaxWindowBits; bits < codec.MaxWindowBits {
		params.ClientMaxWindowBits = uint8(bits)
	}
	offers := handshake.FormatDeflate(params)
	if params.ServerNoContextTakeover {
		params.ServerNoContextTakeover = false
		offers += ", " + handshake.FormatDeflate(params)
	}
	return offers
}

// cost returns the bytes that takeover by params may come to hold.
func (c *compressor) cost(params handshake.DeflateParams) (n int64) {
	own, peer := c.sides(params)
	if own.takeover {
		n += takeoverSize + int64(1)<<min(own.bits, codec.MaxSendWindowBits)
	}
	if peer.takeover {
		n += takeoverSize + int64(1)<<peer.bits
	}
	return n
}

// reserve sets n bytes aside if the budget has them.
func (c *compressor) reserve(n int64) bool {
	if c.reserved.Add(n) <= int64(c.options.Memory) || n == 0 || c.options.Memory < 0 {
		return true
	}
	c.reserved.Add(-n)
	return false
}

// accept takes what the server of ws answered, nil if it declined. On the loop.
func (c *compressor) accept(ws *WebSocket, params *handshake.DeflateParams) {
	if params != nil {
		c.reserve(c.cost(*params)) // which is not bound here
		c.agree(ws, *params)
	}
}

// agree makes ws, which is not open yet, a connection with compression. What
// takeover costs was reserved. On the loop.
func (c *compressor) agree(ws *WebSocket, params handshake.DeflateParams) {
	a := c.settle(params)
	ws.params, ws.out.Variant, ws.out.Takeover = params, a.variant, a.takeover
	ws.reader.SetConfig(ws.settings().readerConfig(ws.out.Variant))
	c.conns.Add(1)
	c.InUse[ws.out.Variant].Add(1)
	if ws.out.Takeover == 0 {
		return
	}
	own, peer := c.sides(params)
	x := new(takeover)
	if own.takeover {
		x.sent = codec.NewSendWindow(own.bits)
	}
	if peer.takeover {
		x.received = codec.NewWindow(peer.bits)
	}
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.extrasLocked().takeover = x
	c.windows.Add(int64(windowSize(x.received)))
	x.tallySent(c)
}

// leave gives back what ws has of compression, when it has ended. It is counted
// out last: who sees that it left finds its part of the budget free. On the loop.
func (c *compressor) leave(ws *WebSocket) {
	if ws.out.Variant == frames.Plain {
		return
	}
	if ws.out.Takeover != 0 {
		ws.conn.Lock()
		x := ws.extras.takeover
		ws.extras.takeover = nil
		ws.conn.Unlock()
		c.windows.Add(-int64(windowSize(x.received)))
		x.leave(c)
	}
	c.reserved.Add(-c.cost(ws.params))
	c.InUse[ws.out.Variant].Add(-1)
	c.conns.Add(-1)
}

// takeover is what a connection keeps from message to message. Its mutex comes
// before the lock of conn, and whoever sends in context holds it from compressing a
// message to writing it: messages leave in the order in which they refer to each
// other. The loop takes it for a send of its own only. What it writes besides, which
// is frames that connections share and control frames, waits for no compression.
type takeover struct {
	order sync.Mutex
	sent  *codec.Window // guarded by order; nil: no takeover
	size  int           // guarded by order: what is counted of sent
	left  bool          // guarded by order: nothing more is counted

	received *codec.Window // owned by the loop; nil: no takeover
}

// takeoverSize is what a window takes besides its bytes.
const takeoverSize = int64(unsafe.Sizeof(takeover{})) + codec.WindowOverhead

// tallySent counts what the window to send holds. Under order, or before anybody
// else has x.
func (x *takeover) tallySent(c *compressor) {
	if now := windowSize(x.sent); now != x.size && !x.left {
		c.windows.Add(int64(now - x.size))
		x.size = now
	}
}

// leave counts the window to send no more, also if somebody uses it yet.
func (x *takeover) leave(c *compressor) {
	x.order.Lock()
	defer x.order.Unlock()
	c.windows.Add(-int64(x.size))
	x.left = true
}

// windowSize is what w takes; 0 for nil.
func windowSize(w *codec.Window) int {
	if w == nil {
		return 0
	}
	return int(unsafe.Sizeof(takeover{})) + w.Size()
}
