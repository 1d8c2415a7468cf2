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

// Errors that a caller may want to tell apart, or to report itself after
// inflating a message.
var (
	// ErrMessageTooBig is a message over ReaderConfig.MaxMessage.
	ErrMessageTooBig = &ProtocolError{StatusMessageTooBig, "message is over the size limit"}
	// ErrTooManyFragments is a message of more than ReaderConfig.MaxFragments frames.
	ErrTooManyFragments = &ProtocolError{StatusPolicyViolation, "message has too many fragments"}
	// ErrInvalidDeflate is compressed data that does not inflate: garbage, or an
	// end before the end.
	ErrInvalidDeflate = &ProtocolError{StatusInvalidFramePayloadData, "compressed data is invalid"}
	// ErrInflateRatio is a message over InflateLimit.MaxRatio: a deflate bomb.
	ErrInflateRatio = &ProtocolError{StatusMessageTooBig, "message inflates too much"}
	// ErrInvalidUTF8 is text, or the reason of a close frame, that is not UTF-8.
	ErrInvalidUTF8 = &ProtocolError{StatusInvalidFramePayloadData, "text is not valid UTF-8"}
)

var (
	errReservedBits       = &ProtocolError{StatusProtocolError, "RSV2 or RSV3 is set"}
	errUnexpectedRsv1     = &ProtocolError{StatusProtocolError, "RSV1 is set where it must not be"}
	errReservedOpCode     = &ProtocolError{StatusProtocolError, "opcode is reserved"}
	errNotMasked          = &ProtocolError{StatusProtocolError, "client frame is not masked"}
	errMasked             = &ProtocolError{StatusProtocolError, "server frame is masked"}
	errNonMinimalLength   = &ProtocolError{StatusProtocolError, "payload length is not in its shortest form"}
	errLengthBit63        = &ProtocolError{StatusProtocolError, "payload length has its highest bit set"}
	errFragmentedControl  = &ProtocolError{StatusProtocolError, "control frame is fragmented"}
	errLongControl        = &ProtocolError{StatusProtocolError, "control frame is over 125 bytes"}
	errOrphanContinuation = &ProtocolError{StatusProtocolError, "continuation frame outside of a message"}
	errInterleavedMessage = &ProtocolError{StatusProtocolError, "new message inside of a message"}
	errShortClosePayload  = &ProtocolError{StatusProtocolError, "close frame payload is one byte"}
	errInvalidStatusCode  = &ProtocolError{StatusProtocolError, "close frame has an invalid status code"}
)

// faults are the rules that a Reader finds broken, from 1 on.
var faults = [...]*ProtocolError{
	1: ErrMessageTooBig, ErrTooManyFragments, ErrInvalidUTF8,
	errReservedBits, errUnexpectedRsv1, errReservedOpCode, errNotMasked, errMasked, errNonMinimalLength, errLengthBit63,
	errFragmentedControl, errLongControl, errOrphanContinuation, errInterleavedMessage,
}
