package engine

import (
	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/handshake"
)

// agreement is what parameters mean for one side: see outlet.Outlet.
type agreement struct {
	variant  frames.Variant
	takeover uint8
}

// agreementOf returns what params mean for this side.
func (c *compressor) agreementOf(params handshake.DeflateParams) agreement {
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

// answer decides on what the client of ws offers, and returns the value of
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
// is taken: the client keeps a window for what it receives.
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
	a := c.agreementOf(params)
	ws.params, ws.out.Variant, ws.out.Takeover = params, a.variant, a.takeover
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

// leave gives back what ws has of compression, when it has ended. The count of
// connections shrinks last: when it has, the part of the budget is free. On the loop.
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
