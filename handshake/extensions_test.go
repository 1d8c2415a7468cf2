package handshake

import (
	"slices"
	"strings"
	"testing"
)

func offer(t testing.TB, extensions ...string) *Request {
	t.Helper()
	for i := range extensions {
		extensions[i] = "+Sec-WebSocket-Extensions: " + extensions[i]
	}
	return parse(t, upgradeHead("GET / HTTP/1.1", extensions...))
}

// H10: a malformed offer is declined and the upgrade goes on without it.
func TestMalformedDeflateOffersAreDeclined(t *testing.T) {
	for _, bad := range []string{
		"permessage-deflate; server_max_window_bits",
		"permessage-deflate; server_max_window_bits=7",
		"permessage-deflate; server_max_window_bits=16",
		"permessage-deflate; server_max_window_bits=010",
		"permessage-deflate; server_max_window_bits=+9",
		"permessage-deflate; server_max_window_bits=1e1",
		"permessage-deflate; server_max_window_bits=",
		`permessage-deflate; server_max_window_bits=""`,
		`permessage-deflate; server_max_window_bits="10`,
		`permessage-deflate; server_max_window_bits="1\0"`,
		`permessage-deflate; server_max_window_bits="10\x"`,
		"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
		"permessage-deflate; server_max_window_bits=99999999999999999999",
		"permessage-deflate; client_max_window_bits=7",
		"permessage-deflate; client_max_window_bits=1",
		"permessage-deflate; client_max_window_bits=",
		`permessage-deflate; client_max_window_bits=""`,
		"permessage-deflate; client_max_window_bits; client_max_window_bits",
		"permessage-deflate; client_max_window_bits=10; client_max_window_bits",
		"permessage-deflate; server_no_context_takeover=1",
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover",
		"permessage-deflate; client_no_context_takeover=true",
		"permessage-deflate; unknown",
		"permessage-deflate; a; b; c; d; e; f; g; h; i; j",
		"permessage-deflate;",
		"permessage-deflate; ; client_max_window_bits",
		"permessage-deflate client_max_window_bits",
		"permessage-deflate=1",
		"permessage deflate",
		"permessage-deflate; (comment)",
		"Permessage-Deflate",
		"x-webkit-deflate-frame",
		`x; a="b, permessage-deflate, c"`,
		`x; a="b, permessage-deflate`,
		`x; a="b\", permessage-deflate`,
		"",
		",,,",
	} {
		r := offer(t, bad)
		if err := r.CheckUpgrade(); err != nil {
			t.Errorf("%q: the upgrade is refused: %v", bad, err)
		}
		if params, ok := NegotiateDeflate(r, DeflateOptions{}); ok {
			t.Errorf("%q: taken as %+v", bad, params)
		}
		// H11: with a good one behind it, in the same line or the next, that is taken.
		if strings.Count(bad, `"`)%2 == 0 && !strings.Contains(bad, `\"`) {
			if _, ok := NegotiateDeflate(offer(t, bad+", permessage-deflate"), DeflateOptions{}); !ok {
				t.Errorf("%q: the good offer behind it is not taken", bad)
			}
		}
		if _, ok := NegotiateDeflate(offer(t, bad, "permessage-deflate"), DeflateOptions{}); !ok {
			t.Errorf("%q: the good offer in the next line is not taken", bad)
		}
	}
}

// H11 and RFC 7692 §7.1
func TestNegotiateDeflate(t *testing.T) {
	none := DeflateOptions{}
	both := DeflateOptions{ServerContextTakeover: true, ClientContextTakeover: true}
	small := DeflateOptions{ServerMaxWindowBits: 10, ClientMaxWindowBits: 9}
	const noTakeover = "; server_no_context_takeover; client_no_context_takeover"
	for _, test := range []struct {
		offer string
		opt   DeflateOptions
		want  string // behind permessage-deflate; "-": declined
	}{
		{"permessage-deflate", none, noTakeover},
		{"permessage-deflate", both, ""},
		{"permessage-deflate; server_no_context_takeover", both, "; server_no_context_takeover"},
		{"permessage-deflate; client_no_context_takeover", both, "; client_no_context_takeover"},
		{"permessage-deflate; client_max_window_bits", none, noTakeover},
		{"permessage-deflate; client_max_window_bits", small, noTakeover + "; server_max_window_bits=10; client_max_window_bits=9"},
		{"permessage-deflate; client_max_window_bits=8", small, noTakeover + "; server_max_window_bits=10; client_max_window_bits=8"},
		{"permessage-deflate; client_max_window_bits=12", both, "; client_max_window_bits=12"},
		{"permessage-deflate; client_max_window_bits=15", both, ""},
		{"permessage-deflate; server_max_window_bits=9", both, "; server_max_window_bits=9"},
		{"permessage-deflate; server_max_window_bits=15", both, "; server_max_window_bits=15"},
		{"permessage-deflate; server_max_window_bits=12; client_max_window_bits=10", small, noTakeover + "; server_max_window_bits=10; client_max_window_bits=9"},
		{`permessage-deflate ; server_max_window_bits = "12"`, both, "; server_max_window_bits=12"},
		{"permessage-deflate", small, "-"}, // the client cannot bound its window
		{"permessage-deflate, permessage-deflate; client_max_window_bits", small, noTakeover + "; server_max_window_bits=10; client_max_window_bits=9"},
		{"permessage-deflate; bogus, permessage-deflate; server_max_window_bits=11", both, "; server_max_window_bits=11"},
		{"permessage-deflate; server_max_window_bits=11, permessage-deflate", both, "; server_max_window_bits=11"},
		{"x-other; a=b, permessage-deflate", both, ""},
		{"permessage-deflate; client_max_window_bits", DeflateOptions{ServerMaxWindowBits: 3, ClientMaxWindowBits: 99}, noTakeover + "; server_max_window_bits=8"},
	} {
		got := "-"
		if params, ok := NegotiateDeflate(offer(t, test.offer), test.opt); ok {
			got = strings.TrimPrefix(FormatDeflate(params), "permessage-deflate")
		}
		if got != test.want {
			t.Errorf("%q with %+v: %q, want %q", test.offer, test.opt, got, test.want)
		}
	}
}

func TestExtensionsAreParsedInOrder(t *testing.T) {
	r := offer(t, `a; x ; y = 1;z="2" , bad bad,, b`, "c")
	want := []Extension{
		{"a", []ExtensionParam{{"x", ""}, {"y", "1"}, {"z", "2"}}},
		{Name: "b"},
		{Name: "c"},
	}
	same := func(a, b Extension) bool { return a.Name == b.Name && slices.Equal(a.Params, b.Params) }
	if got := r.Extensions(); !slices.EqualFunc(got, want, same) {
		t.Errorf("%v", got)
	}
}

// What the server answers, a client that made the offer takes: every combination
// of offer and options.
func TestServerAnswersSatisfyTheClient(t *testing.T) {
	bits := []uint8{0, 8, 11, 15}
	for _, server := range bits {
		for _, client := range append(bits, unvalued) {
			for flags := range 16 {
				p := DeflateParams{
					ServerNoContextTakeover: flags&1 != 0, ClientNoContextTakeover: flags&2 != 0,
					ServerMaxWindowBits: server, ClientMaxWindowBits: client,
				}
				for _, own := range []int{0, 8, 12} {
					opt := DeflateOptions{own, own, flags&4 != 0, flags&8 != 0}
					want := &ClientRequest{Key: "dGhlIHNhbXBsZSBub25jZQ==", Extensions: FormatDeflate(p)}
					answer, ok := NegotiateDeflate(offer(t, want.Extensions), opt)
					if !ok {
						if client > 0 {
							t.Errorf("%+v declined with %+v", p, opt)
						}
						continue
					}
					agreed, err := answered(t, "Sec-WebSocket-Extensions: "+FormatDeflate(answer)).Check(want)
					if err != nil || agreed.Deflate == nil || *agreed.Deflate != answer {
						t.Errorf("%+v answered by %+v: %v", p, answer, err)
					}
				}
			}
		}
	}
}

func TestSelectSubprotocol(t *testing.T) {
	r := parse(t, upgradeHead("GET / HTTP/1.1", "+Sec-WebSocket-Protocol: a,b ,", "+Sec-WebSocket-Protocol: c"))
	for _, test := range []struct {
		supported []string
		want      string
	}{
		{nil, ""},
		{[]string{"x"}, ""},
		{[]string{"A"}, ""}, // names are case-sensitive
		{[]string{""}, ""},
		{[]string{"c", "a"}, "c"}, // the server's order decides
		{[]string{"x", "b", "a"}, "b"},
	} {
		if got := SelectSubprotocol(r, test.supported); got != test.want {
			t.Errorf("%q: %q", test.supported, got)
		}
	}
	if got := r.Subprotocols(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("%q", got)
	}
}
