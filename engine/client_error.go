package engine

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"syscall"
)

// DialStage is how far Dial got before it failed.
type DialStage uint8

const (
	// StageSetup: nothing was sent. A header cannot be sent, the loops have ended, or
	// Dial was called on its own loop.
	StageSetup DialStage = iota
	// StageResolve: the host has no address. The *net.DNSError says why.
	StageResolve
	// StageConnect: there is no connection to the host; what was given up in time may
	// have been the look-up of its name. The *net.OpError says why. *OptionError: NetDial
	// returned something other than a socket.
	StageConnect
	// StageProxy: the proxy cannot be used, or gives no way to the host. See *ProxyError.
	StageProxy
	// StageTLS: the TLS handshake failed. See *tls.CertificateVerificationError,
	// ErrNotTLS, and what crypto/tls returns.
	StageTLS
	// StageUpgrade: the request was sent, and no answer that makes a WebSocket came. See
	// *StatusError, *handshake.ResponseError, ErrNoAnswer and ErrNeedsTLS.
	StageUpgrade
	// StageRedirect: the server redirects to where Dial does not go. See *StatusError,
	// ErrTooManyRedirects and ErrInsecureRedirect.
	StageRedirect
)

var stageNames = [...]string{"setup", "resolve", "connect", "proxy", "TLS", "upgrade", "redirect"}

// String returns the name of s, such as "connect".
func (s DialStage) String() string {
	if int(s) >= len(stageNames) {
		return "unknown"
	}
	return stageNames[s]
}

// remedy returns what to do; "" if Err says it, or it is unknown.
func (e *DialError) remedy() string {
	if e.Timeout() {
		return ""
	}
	switch e.Stage {
	case StageResolve:
		return "check the name of the host and the network"
	case StageConnect:
		if errors.Is(e.Err, syscall.ECONNREFUSED) {
			return "nothing listens there: check host and port, and whether the server is up"
		}
	case StageTLS:
		return tlsRemedy(e.Err)
	case StageUpgrade:
		if answer, ok := errors.AsType[*StatusError](e.Err); ok && !errors.Is(e.Err, ErrNeedsTLS) {
			return statusRemedy(answer)
		}
	}
	return ""
}

func tlsRemedy(err error) string {
	switch {
	case is[x509.UnknownAuthorityError](err):
		return "if you trust it, add its authority to RootCAs of DialOptions.TLS"
	case is[x509.HostnameError](err):
		return "dial a name that the certificate has, or set ServerName of DialOptions.TLS"
	}
	return ""
}

func statusRemedy(answer *StatusError) string {
	switch status := answer.Status; {
	case isRedirect(status) && answer.Location() != "":
		return "dial the address in its Location, or set DialOptions.MaxRedirects"
	case status == http.StatusUnauthorized:
		return "send credentials by DialOptions.Header, cookies by DialOptions.Jar, or user and password in the URL"
	case status == http.StatusForbidden:
		return "check the credentials and DialOptions.Origin"
	case status == http.StatusNotFound:
		return "check the path of the URL"
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return "try again later"
	}
	return ""
}

// stageOf is the stage in which connecting failed.
func stageOf(err error) DialStage {
	switch {
	case is[*ProxyError](err):
		return StageProxy
	case is[*net.DNSError](err):
		return StageResolve
	}
	return StageConnect
}
