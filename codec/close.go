package codec

import (
	"encoding/binary"
	"unicode/utf8"
)

// maxCloseReason is what a control frame leaves for the reason after the code.
const maxCloseReason = maxControlPayload - 2

// AppendClosePayload appends the payload of a close frame (RFC 6455 section
// 5.5.1) to dst and returns the longer slice.
//
// The code 0 and StatusNoStatusRcvd stand for an empty payload, in which the
// reason is lost. Any other code must be ValidOnWire; it is the caller who
// checks. The reason is cut to 123 bytes at the border of a rune, and before the
// first byte that is not UTF-8.
func AppendClosePayload(dst []byte, code StatusCode, reason string) []byte {
	if code == 0 || code == StatusNoStatusRcvd {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, cutReason(reason)...)
}

func cutReason(reason string) string {
	end := 0
	for end < len(reason) {
		r, size := utf8.DecodeRuneInString(reason[end:])
		if r == utf8.RuneError && size == 1 || end+size > maxCloseReason {
			break
		}
		end += size
	}
	return reason[:end]
}

// ParseClosePayload takes the payload of a close frame apart (RFC 6455 section
// 5.5.1). The code of an empty payload is StatusNoStatusRcvd. The reason is a
// copy; p is not kept.
//
// The error is a *ProtocolError: StatusProtocolError for a payload of one byte or
// a code that is not ValidOnWire, StatusInvalidFramePayloadData for a reason that
// is not UTF-8. Code and reason are zero then.
func ParseClosePayload(p []byte) (code StatusCode, reason string, err error) {
	switch {
	case len(p) == 0:
		return StatusNoStatusRcvd, "", nil // §7.1.5
	case len(p) == 1:
		return 0, "", errShortClosePayload // §5.5.1
	}
	code = StatusCode(binary.BigEndian.Uint16(p))
	switch {
	case !code.ValidOnWire():
		return 0, "", errInvalidStatusCode // §7.4
	case !utf8.Valid(p[2:]):
		return 0, "", ErrInvalidUTF8 // §5.5.1
	}
	return code, string(p[2:]), nil
}
