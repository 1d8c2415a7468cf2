package engine

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// prepareError is an error of ReconnectPolicy.Prepare. It is not one of the server,
// whatever it wraps.
type prepareError struct{ err error }

func (e *prepareError) Error() string { return "engine: prepare the next attempt: " + e.err.Error() }
func (e *prepareError) Unwrap() error { return e.err }

// isFinal reports whether err would come again, whenever it is tried.
func isFinal(err error) bool {
	if is[*prepareError](err) {
		return false
	}
	for _, end := range []error{loop.ErrStopped, ErrTooManyRedirects, ErrInsecureRedirect, ErrNeedsTLS, ErrNotTLS} {
		if errors.Is(err, end) {
			return true
		}
	}
	if is[*handshake.ResponseError](err) || is[*handshake.HeaderError](err) || is[*OptionError](err) || is[*tls.CertificateVerificationError](err) ||
		is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err) || is[x509.CertificateInvalidError](err) {
		return true
	}
	if closed, ok := errors.AsType[*CloseError](err); ok {
		return isFinalCode(closed.Code)
	}
	if broken, ok := errors.AsType[*ProtocolError](err); ok {
		return isFinalCode(broken.Code)
	}
	if refused, ok := errors.AsType[*StatusError](err); ok {
		return isFinalStatus(refused.Status)
	}
	if refused, ok := errors.AsType[*ProxyError](err); ok {
		return refused.Status != 0 && isFinalStatus(refused.Status) || refused.Cause != nil && errors.Is(refused.Cause, errors.ErrUnsupported)
	}
	return false
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// isFinalCode decides by RFC 6455 section 7.4.1.
func isFinalCode(code StatusCode) bool {
	switch code {
	case StatusNormalClosure, StatusProtocolError, StatusUnsupportedData,
		StatusInvalidFramePayloadData, StatusPolicyViolation, StatusMessageTooBig,
		StatusMandatoryExtension:
		return true
	}
	return false
}

// isFinalStatus decides by RFC 9110 section 15, RFC 6585 and RFC 8470.
func isFinalStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return true
	}
	return status < 500
}
