package engine

import (
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/handshake"
)

// What a server leaves open, a client decides by its own wishes (RFC 7692
// sections 7.1.1.2 and 7.1.2.2).
func TestClientKeepsToItsOwnWishes(t *testing.T) {
	const none, sends, receives = uint8(0), outlet.SendsInContext, outlet.ReceivesInContext
	wish := Compression{ClientMaxWindowBits: 10}
	context := Compression{ClientContextTakeover: true, ServerContextTakeover: true}
	for _, tt := range []struct {
		name     string
		wish     Compression
		answer   handshake.DeflateParams
		bits     int
		takeover uint8
	}{
		{"nothing said, nothing wished", Compression{}, handshake.DeflateParams{}, 15, receives},
		{"both forbidden", context, handshake.DeflateParams{ServerNoContextTakeover: true, ClientNoContextTakeover: true}, 15, none},
		{"both wished", context, handshake.DeflateParams{}, 15, sends | receives},
		{"the client's forbidden", context, handshake.DeflateParams{ClientNoContextTakeover: true}, 15, receives},
		{"the server's window is its own", context, handshake.DeflateParams{ServerMaxWindowBits: 9}, 15, sends | receives},
		{"the client's window, wished", wish, handshake.DeflateParams{}, 10, receives},
		{"the client's window, smaller", wish, handshake.DeflateParams{ClientMaxWindowBits: 8}, 8, receives},
		{"the client's window, larger", wish, handshake.DeflateParams{ClientMaxWindowBits: 12}, 10, receives},
	} {
		c := newCompressor(&tt.wish, newSettings(codec.Client, Limits{}, Callbacks{}, nil), new(deflated))
		a := c.agreementOf(tt.answer)
		if a.variant.WindowBits() != tt.bits || a.takeover != tt.takeover {
			t.Errorf("%s: %d bits, takeover %b; want %d, %b", tt.name, a.variant.WindowBits(), a.takeover, tt.bits, tt.takeover)
		}
	}
}
