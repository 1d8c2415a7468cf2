package codec

import "strconv"

// StatusCode is the reason for a close, as a number (RFC 6455 section 7.4).
type StatusCode uint16

// The status codes of RFC 6455 section 7.4.1 and of the registry it set up.
// Applications choose their own from 4000 to 4999.
const (
	StatusNormalClosure           StatusCode = 1000
	StatusGoingAway               StatusCode = 1001
	StatusProtocolError           StatusCode = 1002
	StatusUnsupportedData         StatusCode = 1003
	StatusNoStatusRcvd            StatusCode = 1005 // never on the wire: the close frame had no code
	StatusAbnormalClosure         StatusCode = 1006 // never on the wire: there was no close frame
	StatusInvalidFramePayloadData StatusCode = 1007
	StatusPolicyViolation         StatusCode = 1008
	StatusMessageTooBig           StatusCode = 1009
	StatusMandatoryExtension      StatusCode = 1010
	StatusInternalError           StatusCode = 1011
	StatusServiceRestart          StatusCode = 1012
	StatusTryAgainLater           StatusCode = 1013
	StatusBadGateway              StatusCode = 1014
	StatusTLSHandshake            StatusCode = 1015 // never on the wire: the TLS handshake failed
)

// ValidOnWire reports whether a close frame may carry c (RFC 6455 section 7.4):
// 1000 to 1003, 1007 to 1014 and 3000 to 4999.
func (c StatusCode) ValidOnWire() bool {
	switch {
	case c >= 1000 && c <= 1003: // §7.4.1
		return true
	case c >= 1007 && c <= 1014: // §7.4.1 and the registry of §11.7
		return true
	case c >= 3000 && c <= 4999: // §7.4.2
		return true
	}
	return false
}

// String gives the number and, where one is registered, the name of c.
func (c StatusCode) String() string {
	number := strconv.FormatUint(uint64(c), 10)
	if name := c.name(); name != "" {
		return number + " " + name
	}
	return number
}

func (c StatusCode) name() string {
	switch c {
	case StatusNormalClosure:
		return "normal closure"
	case StatusGoingAway:
		return "going away"
	case StatusProtocolError:
		return "protocol error"
	case StatusUnsupportedData:
		return "unsupported data"
	case StatusNoStatusRcvd:
		return "no status received"
	case StatusAbnormalClosure:
		return "abnormal closure"
	case StatusInvalidFramePayloadData:
		return "invalid frame payload data"
	case StatusPolicyViolation:
		return "policy violation"
	case StatusMessageTooBig:
		return "message too big"
	case StatusMandatoryExtension:
		return "mandatory extension"
	case StatusInternalError:
		return "internal error"
	case StatusServiceRestart:
		return "service restart"
	case StatusTryAgainLater:
		return "try again later"
	case StatusBadGateway:
		return "bad gateway"
	case StatusTLSHandshake:
		return "TLS handshake"
	}
	return ""
}
