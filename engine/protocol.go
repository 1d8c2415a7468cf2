package engine

import "github.com/fanloop-go/fanloop/codec"

// OpCode says what a frame or message is (RFC 6455 section 5.2).
type OpCode = codec.OpCode

// The kinds of messages, and of frames within them.
const (
	Continuation = codec.Continuation
	Text         = codec.Text
	Binary       = codec.Binary
)

// StatusCode is the reason for a close, as a number (RFC 6455 section 7.4).
type StatusCode = codec.StatusCode

// The status codes of RFC 6455 section 7.4.1 and the IANA registry.
// Applications may use 3000 to 4999 for their own.
const (
	StatusNormalClosure           = codec.StatusNormalClosure
	StatusGoingAway               = codec.StatusGoingAway
	StatusProtocolError           = codec.StatusProtocolError
	StatusUnsupportedData         = codec.StatusUnsupportedData
	StatusNoStatusRcvd            = codec.StatusNoStatusRcvd
	StatusAbnormalClosure         = codec.StatusAbnormalClosure
	StatusInvalidFramePayloadData = codec.StatusInvalidFramePayloadData
	StatusPolicyViolation         = codec.StatusPolicyViolation
	StatusMessageTooBig           = codec.StatusMessageTooBig
	StatusMandatoryExtension      = codec.StatusMandatoryExtension
	StatusInternalError           = codec.StatusInternalError
	StatusServiceRestart          = codec.StatusServiceRestart
	StatusTryAgainLater           = codec.StatusTryAgainLater
	StatusBadGateway              = codec.StatusBadGateway
)
