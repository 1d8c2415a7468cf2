package engine_test

import (
	"errors"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// deflateCase is one setting of this side for the interoperability tests.
type deflateCase struct {
	name        string
	compression *engine.Compression
}

// deflateCases compress everything, so that every message of the contract is a
// test.
var deflateCases = []deflateCase{
	{"plain", nil},
	{"compressed", &engine.Compression{Threshold: 1}},
	{"takeover", &engine.Compression{Threshold: 1, ServerContextTakeover: true, ClientContextTakeover: true}},
	{"server window", &engine.Compression{Threshold: 1, ServerContextTakeover: true, ClientContextTakeover: true,
		ServerMaxWindowBits: 9}},
	{"both windows", &engine.Compression{Threshold: 1, ServerContextTakeover: true, ClientContextTakeover: true,
		ServerMaxWindowBits: 10, ClientMaxWindowBits: 9}},
	{"smallest windows", &engine.Compression{Threshold: 1, ServerContextTakeover: true, ClientContextTakeover: true,
		ServerMaxWindowBits: 8, ClientMaxWindowBits: 8}},
}

// zlibCases are those for a peer that fails when zlib refuses a window of 8 bits.
var zlibCases = deflateCases[:len(deflateCases)-1]

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
