package engine_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// offering is the header line that offers an extension.
func offering(extension string) string { return "Sec-WebSocket-Extensions: " + extension }

// deflateClient is a rawClient that compresses as was agreed.
type deflateClient struct {
	*rawClient
	inflater       *codec.Inflater
	deflater       *codec.Deflater
	sent, received *codec.Window // nil without context takeover
}

// newDeflateClient makes a client of a connection that is open.
func newDeflateClient(c *rawClient) *deflateClient {
	p, agreed := &deflateClient{rawClient: c}, c.extensions
	if agreed == "" {
		return p
	}
	bits := func(parameter string) int {
		_, value, _ := strings.Cut(agreed, parameter+"=")
		n := codec.MaxWindowBits
		_, _ = fmt.Sscan(value, &n)
		return n
	}
	p.inflater, p.deflater = codec.NewInflater(), codec.NewDeflater(bits("client_max_window_bits"))
	if !strings.Contains(agreed, "client_no_context_takeover") {
		p.sent = codec.NewWindow(bits("client_max_window_bits"))
	}
	if !strings.Contains(agreed, "server_no_context_takeover") {
		p.received = codec.NewWindow(bits("server_max_window_bits"))
	}
	return p
}

// sendMessage sends a message in one frame, compressed if that was agreed.
func (p *deflateClient) sendMessage(op engine.OpCode, payload string) {
	p.t.Helper()
	if p.deflater == nil {
		p.sendFrame(op, true, []byte(payload))
		return
	}
	packed := p.deflater.AppendMessage(nil, []byte(payload), p.sent)
	p.send(string(codec.AppendMaskedCompressedFrame(nil, op, true, packed)))
}

// readMessage reads a message in one frame, compressed or not. Inflating it is
// limited to 16 MiB.
func (p *deflateClient) readMessage() (codec.Header, []byte, error) {
	h, payload, err := p.readFrame()
	if err != nil || !h.Rsv1 {
		return h, payload, err
	}
	if p.inflater == nil {
		return h, nil, errors.New("RSV1 is set and nothing was agreed")
	}
	whole, err := p.inflater.Inflate(payload, p.received, codec.InflateLimit{MaxMessage: 16 << 20, MaxRatio: -1})
	return h, bytes.Clone(whole), err
}

// wantMessage reads a message in one frame, compressed or not.
func (p *deflateClient) wantMessage(op engine.OpCode, payload string) {
	p.t.Helper()
	h, got, err := p.readMessage()
	if err != nil || h.OpCode != op || string(got) != payload {
		p.t.Fatalf("got %v %.80q, %v; want %v %.80q", h.OpCode, got, err, op, payload)
	}
}

// deflated is text as the payload of a compressed message.
func deflated(text string) []byte {
	return codec.NewDeflater(codec.MaxWindowBits).AppendMessage(nil, []byte(text), nil)
}

// noise is n bytes that do not shrink.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return string(b)
}
