package handshake

import "slices"

// ValidSubprotocol reports whether name may be sent as a subprotocol: it is a token (RFC
// 6455 §4.1 item 10).
func ValidSubprotocol(name string) bool { return isToken(name) }

// Subprotocols gives the subprotocols the client offers, the one it likes most
// first (RFC 6455 §11.3.4). The slice is the caller's.
func (r *Request) Subprotocols() []string {
	var offered []string
	for list := range r.eachOf(subprotocolHeader) {
		for s := range elements(list) {
			offered = append(offered, s)
		}
	}
	return offered
}

// SelectSubprotocol gives the first of supported that the client offers, so the
// server's order decides; "" when they share none, which is no error: the
// connection then has no subprotocol (RFC 6455 §4.2.2). Names are case-sensitive.
// It allocates nothing.
func SelectSubprotocol(req *Request, supported []string) string {
	i := slices.IndexFunc(supported, req.offersSubprotocol)
	if i < 0 {
		return ""
	}
	return supported[i]
}

func (r *Request) offersSubprotocol(subprotocol string) bool {
	for list := range r.eachOf(subprotocolHeader) {
		for s := range elements(list) {
			if s == subprotocol {
				return true
			}
		}
	}
	return false
}

// checkSubprotocols checks that the offer consists of tokens (RFC 6455 §4.1
// item 10). An offer made twice does no harm and is let through.
func (r *Request) checkSubprotocols() error {
	for list := range r.eachOf(subprotocolHeader) {
		for s := range elements(list) {
			if !isToken(s) {
				return Reject(400, "a subprotocol is not a token")
			}
		}
	}
	return nil
}
