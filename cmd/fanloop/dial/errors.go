package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// dialError says why there is no connection and what to do.
func (o *dialOptions) dialError(address string, err error) error {
	if wrong, ok := errors.AsType[*handshake.HeaderError](err); ok {
		return cli.Usagef("--header %s: %s", wrong.Name, wrong.Reason)
	}
	if wrong, ok := errors.AsType[*engine.URLError](err); ok {
		return cli.Usagef("%s: %v", address, wrong.Err)
	}
	if proxy, ok := errors.AsType[*engine.ProxyError](err); ok {
		return fmt.Errorf("%s: no way through the %s", address, strings.TrimPrefix(proxy.Error(), "engine: "))
	}
	if answer, ok := errors.AsType[*handshake.StatusError](err); ok {
		if to := answer.Location(); to != "" {
			return fmt.Errorf("%s: the server answered %d and points to %s: dial that", address, answer.Status, cli.QuotedURL(to))
		}
		text := strings.TrimSpace(strconv.Itoa(answer.Status) + " " + http.StatusText(answer.Status))
		if line := answer.FirstLine(); line != "" {
			return fmt.Errorf("%s: the server answered %s instead of opening a WebSocket: %q", address, text, line)
		}
		return fmt.Errorf("%s: the server answered %s instead of opening a WebSocket", address, text)
	}
	if over, ok := errors.AsType[*handshake.LimitError](err); ok {
		return fmt.Errorf("%s: the head of the answer is over --%s %d; give it more", address, cli.FlagName(over.Limit), over.Max)
	}
	if errors.Is(err, engine.ErrNeedsTLS) {
		return fmt.Errorf("%s: the server speaks TLS: dial wss://", address)
	}
	if errors.Is(err, handshake.ErrMalformedHead) {
		return fmt.Errorf("%s: what answers there is not a WebSocket server: the answer is not HTTP/1.1", address)
	}
	if answer, ok := errors.AsType[*handshake.ResponseError](err); ok {
		return fmt.Errorf("%s: what answers there is not a WebSocket server: %s", address, answer.Reason)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return fmt.Errorf("%s: cannot find %q", address, dns.Name)
	}
	if why := tlsFailure(err); why != "" {
		return fmt.Errorf("%s: %s", address, why)
	}
	switch {
	case o.unix != "" && errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%s: there is no %s; is the server up?", address, o.unix)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: nothing listens %s; is the server up?", address, where(err))
	case errors.Is(err, engine.ErrHandshakeTimeout):
		return fmt.Errorf("%s: no connection within %v; give it longer with --timeout", address, o.limits.WithDefaults().HandshakeTimeout)
	case errors.Is(err, engine.ErrNoAnswer) && strings.HasPrefix(address, "ws:"):
		return fmt.Errorf("%s: the server hung up without an answer; is it a wss:// server, or one that expects a PROXY header?", address)
	case errors.Is(err, engine.ErrNoAnswer):
		return fmt.Errorf("%s: the server hung up without an answer; does it expect a PROXY header?", address)
	case errors.Is(err, engine.ErrAbnormalClosure):
		return fmt.Errorf("%s: the server hung up in the middle of its answer", address)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: interrupted while connecting", address)
	}
	return err
}

// where names the port that was tried, which the address may not.
func where(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if addr, ok := op.Addr.(*net.TCPAddr); ok {
			return "on port " + strconv.Itoa(addr.Port)
		}
	}
	return "there"
}

// tlsFailure says what to do about a TLS handshake that failed; "" if none did.
func tlsFailure(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "its certificate is not trusted here: give its authority with --tls-ca, or trust anybody with --insecure"
	}
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not to be trusted: " + cli.RootCause(untrusted).Error()
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "what answers there does not speak TLS; is it a ws:// server?"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // an alert
		return "the server ended the TLS handshake: " + op.Err.Error()
	}
	return ""
}
