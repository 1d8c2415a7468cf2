package codec

// ProtocolError is a rule of RFC 6455 that the peer broke, or a limit it went
// over. Whoever gets one fails the connection (section 7.1.7): send a close
// frame with Code and Reason, then drop the connection.
//
// Every ProtocolError is a package value that nobody may change. Reach it with
// errors.As and a *ProtocolError, or compare with errors.Is where it is
// exported.
type ProtocolError struct {
	Code   StatusCode // the status code the close frame is to carry
	Reason string     // what was wrong; short and ASCII, fits a close frame
}

// Error gives the reason and the status code.
func (e *ProtocolError) Error() string {
	return "codec: " + e.Reason + " (status " + e.Code.String() + ")"
}

// faults are all of them, in the places that a Reader keeps in place of a pointer. The
// first one is none.
var faults = make([]*ProtocolError, 1, 32)

// newFault makes a ProtocolError. It is called only where package variables begin.
func newFault(code StatusCode, reason string) *ProtocolError {
	e := &ProtocolError{Code: code, Reason: reason}
	faults = append(faults, e)
	return e
}

// Errors that a caller may want to tell apart, or to report itself after
// inflating a message.
var (
	// ErrMessageTooBig is a message over ReaderConfig.MaxMessage.
	ErrMessageTooBig = newFault(StatusMessageTooBig, "message is over the size limit")
	// ErrTooManyFragments is a message of more than ReaderConfig.MaxFragments frames.
	ErrTooManyFragments = newFault(StatusPolicyViolation, "message has too many fragments")
	// ErrInvalidDeflate is compressed data that does not inflate: garbage, or an
	// end before the end.
	ErrInvalidDeflate = newFault(StatusInvalidFramePayloadData, "compressed data is invalid")
	// ErrInflateRatio is a message over InflateLimit.MaxRatio: a deflate bomb.
	ErrInflateRatio = newFault(StatusMessageTooBig, "message inflates too much")
	// ErrInvalidUTF8 is text, or the reason of a close frame, that is not UTF-8.
	ErrInvalidUTF8 = newFault(StatusInvalidFramePayloadData, "text is not valid UTF-8")
)

var (
	errReservedBits       = newFault(StatusProtocolError, "RSV2 or RSV3 is set")
	errUnexpectedRsv1     = newFault(StatusProtocolError, "RSV1 is set where it must not be")
	errReservedOpCode     = newFault(StatusProtocolError, "opcode is reserved")
	errNotMasked          = newFault(StatusProtocolError, "client frame is not masked")
	errMasked             = newFault(StatusProtocolError, "server frame is masked")
	errNonMinimalLength   = newFault(StatusProtocolError, "payload length is not in its shortest form")
	errLengthBit63        = newFault(StatusProtocolError, "payload length has its highest bit set")
	errFragmentedControl  = newFault(StatusProtocolError, "control frame is fragmented")
	errLongControl        = newFault(StatusProtocolError, "control frame is over 125 bytes")
	errOrphanContinuation = newFault(StatusProtocolError, "continuation frame outside of a message")
	errInterleavedMessage = newFault(StatusProtocolError, "new message inside of a message")
	errShortClosePayload  = newFault(StatusProtocolError, "close frame payload is one byte")
	errInvalidStatusCode  = newFault(StatusProtocolError, "close frame has an invalid status code")
)
