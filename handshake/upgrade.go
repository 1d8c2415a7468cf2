package handshake

// IsUpgrade reports whether the request asks for a WebSocket: its Upgrade header
// names websocket. CheckUpgrade then reports whether it asks in the right way. Any
// other request belongs to an HTTP handler.
func (r *Request) IsUpgrade() bool { return r.upgrades }

// CheckUpgrade checks the client's half of the opening handshake (RFC 6455
// §4.2.1). The error is a *Rejection: 505 unless HTTP/1.1, 405 unless GET, 426 for
// a version other than 13 or a GET or HEAD that asks for no WebSocket, otherwise
// 400.
// Origin, subprotocols and extensions are the server's choice and are not judged,
// beyond their syntax where a mistake could be read in two ways.
func (r *Request) CheckUpgrade() error {
	length, lengths := r.only(lengthHeader)
	version, versions := r.only(versionHeader)
	key, keys := r.only(keyHeader)
	_, origins := r.only(originHeader)
	switch {
	case r.line.minor != 1: // §4.2.1 item 1
		return Reject(505, "a WebSocket needs HTTP/1.1")
	case r.Method() != "GET" && (r.Method() != "HEAD" || r.IsUpgrade()):
		return rejectWith(405, "a WebSocket is asked for by GET", "Allow", "GET")
	case r.Host() == "": // item 2
		return Reject(400, "the Host is empty")
	case !r.IsUpgrade(): // item 3
		return Reject(426, "this address speaks WebSocket")
	case !r.hasElement(connectionHeader, "upgrade"): // item 4
		return Reject(400, "the Connection header does not say Upgrade")
	case r.hasBody(length, lengths):
		return Reject(400, "an upgrade request has no body")
	case versions != 1: // item 6
		return Reject(400, "there must be one Sec-WebSocket-Version")
	case version != "13": // §4.4
		return rejectWith(426, "only version 13 of WebSocket is spoken here", "Sec-WebSocket-Version", "13")
	case keys != 1: // item 5
		return Reject(400, "there must be one Sec-WebSocket-Key")
	case !isKey(key):
		return Reject(400, "the Sec-WebSocket-Key is not 16 bytes in base64")
	case origins > 1: // RFC 6454 §7.3
		return Reject(400, "there is more than one Origin")
	}
	return r.checkSubprotocols()
}

func (r *Request) hasBody(length string, lengths int) bool {
	_, codings := r.only(codingHeader)
	return codings > 0 || lengths > 0 && length != "0"
}

func rejectWith(status int, reason, header, value string) error {
	return &Rejection{Status: status, Reason: reason, Header: map[string][]string{header: {value}}}
}

// AppendResponse appends the 101 that accepts req, a request that passed
// CheckUpgrade (RFC 6455 §4.2.2). The bytes behind it are frames.
//
// subprotocol is "" or one that the request offered. extensions is the value of
// Sec-WebSocket-Extensions, "" for none; FormatDeflate makes it. extra holds what
// the application adds. A header that the handshake writes or forbids itself
// (Upgrade, Connection, Sec-WebSocket-*, Content-Length and the like) and one with
// CR, LF, NUL or an invalid name is refused with a *HeaderError; dst then comes
// back as it was. Apart from growing dst it allocates nothing.
func AppendResponse(dst []byte, req *Request, subprotocol, extensions string, extra map[string][]string) ([]byte, error) {
	start := len(dst)
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	key, _ := req.only(keyHeader)
	dst = AppendAcceptKey(dst, key)
	dst = append(dst, "\r\n"...)
	var err error
	if subprotocol != "" {
		name := subprotocolHeader.String()
		if !req.offersSubprotocol(subprotocol) {
			return dst[:start], &HeaderError{name, "the client did not offer this subprotocol; take one of Request.Subprotocols"}
		}
		if dst, err = appendField(dst, name, subprotocol); err != nil {
			return dst[:start], err
		}
	}
	if extensions != "" {
		if dst, err = appendField(dst, "Sec-WebSocket-Extensions", extensions); err != nil {
			return dst[:start], err
		}
	}
	if dst, err = appendFields(dst, extra); err != nil {
		return dst[:start], err
	}
	return append(dst, "\r\n"...), nil
}
