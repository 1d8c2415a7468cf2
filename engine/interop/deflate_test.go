package interop

import (
	"errors"
	"slices"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// deflateCase is one setting of this side for the interoperability tests.
type deflateCase struct {
	name        string
	compression *engine.Compression
	secure      bool // wss
}

// everyMessage compresses every message of the contract, also those of one
// letter that inflate to a thousand times their size.
func everyMessage(takeover bool, serverBits, clientBits int) *engine.Compression {
	return &engine.Compression{
		Threshold: 1, MaxRatio: -1,
		ServerContextTakeover: takeover, ClientContextTakeover: takeover,
		ServerMaxWindowBits: serverBits, ClientMaxWindowBits: clientBits,
	}
}

var deflateCases = []deflateCase{
	{"plain", nil, false},
	{"compressed", everyMessage(false, 0, 0), false},
	{"takeover", everyMessage(true, 0, 0), false},
	{"server window", everyMessage(true, 9, 0), false},
	{"both windows", everyMessage(true, 10, 9), false},
	{"smallest windows", everyMessage(true, 8, 8), false},
}

// secureCases are those over TLS, for peers that speak it by themselves.
var secureCases = []deflateCase{
	{"TLS", nil, true},
	{"takeover over TLS", everyMessage(true, 0, 0), true},
}

var allCases = slices.Concat(deflateCases, secureCases)

// zlibCases are those for a peer that fails when zlib refuses a window of 8 bits.
var zlibCases = slices.Concat(deflateCases[:len(deflateCases)-1], secureCases)

// eachCase runs test for each case. agrees says whether a peer that knows all of
// RFC 7692 agrees on compression.
func eachCase(t *testing.T, cases []deflateCase, test func(t *testing.T, c deflateCase, agrees bool)) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { test(t, c, c.compression != nil) })
	}
}

// wantRefusedExtension dials a server that agrees to what it does not keep.
func wantRefusedExtension(t *testing.T, url string, compression *engine.Compression) {
	t.Helper()
	_, err := engine.Dial(t.Context(), url, &engine.DialOptions{Compression: compression})
	var refused *handshake.ResponseError
	if !errors.As(err, &refused) || refused.Header != "Sec-WebSocket-Extensions" {
		t.Errorf("Dial = %v, want the extension refused", err)
	}
}
