package handshake

import (
	"strconv"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws/wsflate"
)

// DeflateOptions is what a server is willing to do with permessage-deflate
// (RFC 7692 §7). The zero value means windows of up to 15 bits and no context
// takeover on either side: no memory is held between messages.
type DeflateOptions struct {
	// ServerMaxWindowBits and ClientMaxWindowBits bound the LZ77 windows, 8 to 15
	// bits. 0 means 15; other values are moved into that range. A client that
	// cannot bound its window is declined when ClientMaxWindowBits is below 15.
	ServerMaxWindowBits int
	ClientMaxWindowBits int
	// ServerContextTakeover lets the server keep its window from message to
	// message, unless the client forbids it.
	ServerContextTakeover bool
	// ClientContextTakeover lets the client keep its own, which costs the server
	// the same window for reading.
	ClientContextTakeover bool
}

func (o DeflateOptions) withDefaults() DeflateOptions {
	for _, bits := range [...]*int{&o.ServerMaxWindowBits, &o.ClientMaxWindowBits} {
		if *bits == 0 {
			*bits = 15
		}
		*bits = min(max(*bits, 8), 15)
	}
	return o
}

// DeflateParams is what two sides settled about permessage-deflate, or one offers (RFC
// 7692 §7.1). A window of 0 bits was not named: 15 bits. In an offer,
// ClientMaxWindowBits 1 stands for client_max_window_bits without a value: the client
// leaves it to the server.
type DeflateParams struct {
	ServerNoContextTakeover bool
	ClientNoContextTakeover bool
	ServerMaxWindowBits     uint8
	ClientMaxWindowBits     uint8
}

// NegotiateDeflate takes the first offer of permessage-deflate that is well formed
// and within opt, and gives what to answer: FormatDeflate of params goes to
// AppendResponse. An offer that is malformed, has unknown or repeated parameters or
// asks too much is declined and the next one is tried (RFC 7692 §5.1, §7). ok is
// false when none is left; the connection then goes on without compression.
func NegotiateDeflate(req *Request, opt DeflateOptions) (params DeflateParams, ok bool) {
	opt = opt.withDefaults()
	for _, e := range req.Extensions() {
		if offer, ok := parseDeflate(e); ok {
			if params, ok := opt.answer(offer); ok {
				return params, true
			}
		}
	}
	return params, false
}

// unvalued is a client_max_window_bits without a value, as wsflate has it.
const unvalued uint8 = 1

// answer settles one offer (RFC 7692 §7.1).
func (o DeflateOptions) answer(offer DeflateParams) (params DeflateParams, ok bool) {
	params.ServerNoContextTakeover = offer.ServerNoContextTakeover || !o.ServerContextTakeover
	params.ClientNoContextTakeover = offer.ClientNoContextTakeover || !o.ClientContextTakeover

	server := uint8(o.ServerMaxWindowBits)
	if offer.ServerMaxWindowBits > 0 {
		params.ServerMaxWindowBits = min(server, offer.ServerMaxWindowBits) // §7.1.2.1
	} else if server < 15 {
		params.ServerMaxWindowBits = server
	}

	client := uint8(o.ClientMaxWindowBits)
	switch {
	case offer.ClientMaxWindowBits == 0:
		// §7.1.2.2: without the offer the answer must not have the parameter.
		return params, client == 15
	case offer.ClientMaxWindowBits != unvalued:
		client = min(client, offer.ClientMaxWindowBits)
	}
	if client < 15 {
		params.ClientMaxWindowBits = client
	}
	return params, true
}

// parseDeflate reads e as parameters of permessage-deflate. It refuses what
// wsflate lets pass: leading zeros and a client_max_window_bits given twice.
func parseDeflate(e Extension) (params DeflateParams, ok bool) {
	if e.Name != wsflate.ExtensionName || len(e.Params) > 4 {
		return params, false
	}
	opt := httphead.Option{Name: wsflate.ExtensionNameBytes}
	for i, p := range e.Params {
		for _, earlier := range e.Params[:i] {
			if earlier.Name == p.Name {
				return params, false
			}
		}
		if p.Value != "" && p.Value[0] == '0' {
			return params, false // §7.1.2: no leading zeros
		}
		opt.Parameters.Set([]byte(p.Name), []byte(p.Value))
	}
	var parsed wsflate.Parameters
	if parsed.Parse(opt) != nil {
		return params, false
	}
	return DeflateParams{
		ServerNoContextTakeover: parsed.ServerNoContextTakeover,
		ClientNoContextTakeover: parsed.ClientNoContextTakeover,
		ServerMaxWindowBits:     uint8(parsed.ServerMaxWindowBits),
		ClientMaxWindowBits:     uint8(parsed.ClientMaxWindowBits),
	}, true
}

// FormatDeflate writes params as the value of Sec-WebSocket-Extensions, for an
// answer or for ClientRequest.Extensions.
func FormatDeflate(params DeflateParams) string {
	b := append(make([]byte, 0, 128), wsflate.ExtensionName...)
	if params.ServerNoContextTakeover {
		b = append(b, "; server_no_context_takeover"...)
	}
	if params.ClientNoContextTakeover {
		b = append(b, "; client_no_context_takeover"...)
	}
	if params.ServerMaxWindowBits > 0 {
		b = append(b, "; server_max_window_bits="...)
		b = strconv.AppendInt(b, int64(params.ServerMaxWindowBits), 10)
	}
	if params.ClientMaxWindowBits > 0 {
		b = append(b, "; client_max_window_bits"...)
		if params.ClientMaxWindowBits != unvalued {
			b = append(b, '=')
			b = strconv.AppendInt(b, int64(params.ClientMaxWindowBits), 10)
		}
	}
	return string(b)
}

// answersDeflate reports whether a server may answer offer like that (RFC 7692
// §7.1). What was offered as a condition must come back, and no window may be
// larger than offered.
func answersDeflate(offer, answer DeflateParams) bool {
	switch {
	case offer.ServerNoContextTakeover && !answer.ServerNoContextTakeover: // §7.1.1.1
		return false
	case offer.ServerMaxWindowBits > 0 && // §7.1.2.1
		(answer.ServerMaxWindowBits == 0 || answer.ServerMaxWindowBits > offer.ServerMaxWindowBits):
		return false
	case answer.ClientMaxWindowBits == unvalued: // §7.1.2.2, as the next two
		return false
	case answer.ClientMaxWindowBits > 0 && offer.ClientMaxWindowBits == 0:
		return false
	case offer.ClientMaxWindowBits > unvalued && answer.ClientMaxWindowBits > offer.ClientMaxWindowBits:
		return false
	}
	return true
}
