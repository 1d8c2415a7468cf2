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

// NegotiateDeflate takes the first offer of permessage-deflate that is well formed
// and within opt, and gives what to answer: FormatDeflate of params goes to
// AppendResponse. An offer that is malformed, has unknown or repeated parameters or
// asks too much is declined and the next one is tried (RFC 7692 §5.1, §7). ok is
// false when none is left; the connection then goes on without compression.
//
// In params a window of 0 bits means that the parameter was not agreed: 15 bits.
func NegotiateDeflate(req *Request, opt DeflateOptions) (params wsflate.Parameters, ok bool) {
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

// unvalued is how wsflate writes a client_max_window_bits without a value.
const unvalued wsflate.WindowBits = 1

// answer settles one offer (RFC 7692 §7.1).
func (o DeflateOptions) answer(offer wsflate.Parameters) (params wsflate.Parameters, ok bool) {
	params.ServerNoContextTakeover = offer.ServerNoContextTakeover || !o.ServerContextTakeover
	params.ClientNoContextTakeover = offer.ClientNoContextTakeover || !o.ClientContextTakeover

	server := wsflate.WindowBits(o.ServerMaxWindowBits)
	if offer.ServerMaxWindowBits.Defined() {
		params.ServerMaxWindowBits = min(server, offer.ServerMaxWindowBits) // §7.1.2.1
	} else if server < 15 {
		params.ServerMaxWindowBits = server
	}

	client := wsflate.WindowBits(o.ClientMaxWindowBits)
	switch {
	case !offer.ClientMaxWindowBits.Defined():
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
func parseDeflate(e Extension) (params wsflate.Parameters, ok bool) {
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
	return params, params.Parse(opt) == nil
}

// FormatDeflate writes params as the value of Sec-WebSocket-Extensions, for an
// answer or for ClientRequest.Extensions. In an offer ClientMaxWindowBits 1 stands
// for client_max_window_bits without a value: the client leaves it to the server.
func FormatDeflate(params wsflate.Parameters) string {
	b := append(make([]byte, 0, 128), wsflate.ExtensionName...)
	if params.ServerNoContextTakeover {
		b = append(b, "; server_no_context_takeover"...)
	}
	if params.ClientNoContextTakeover {
		b = append(b, "; client_no_context_takeover"...)
	}
	if params.ServerMaxWindowBits.Defined() {
		b = append(b, "; server_max_window_bits="...)
		b = strconv.AppendInt(b, int64(params.ServerMaxWindowBits), 10)
	}
	if params.ClientMaxWindowBits.Defined() {
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
func answersDeflate(offer, answer wsflate.Parameters) bool {
	switch {
	case offer.ServerNoContextTakeover && !answer.ServerNoContextTakeover: // §7.1.1.1
		return false
	case offer.ServerMaxWindowBits.Defined() && // §7.1.2.1
		(!answer.ServerMaxWindowBits.Defined() || answer.ServerMaxWindowBits > offer.ServerMaxWindowBits):
		return false
	case answer.ClientMaxWindowBits == unvalued: // §7.1.2.2, as the next two
		return false
	case answer.ClientMaxWindowBits.Defined() && !offer.ClientMaxWindowBits.Defined():
		return false
	case offer.ClientMaxWindowBits > unvalued && answer.ClientMaxWindowBits > offer.ClientMaxWindowBits:
		return false
	}
	return true
}
