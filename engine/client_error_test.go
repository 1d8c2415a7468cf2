package engine_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// Each way to fail has its stage, an error of a type of its own, and a text that says what
// to do.
func TestDialErrorSaysWhichStageFailed(t *testing.T) {
	id, other := testkit.NewIdentity(t, "server"), testkit.NewIdentity(t, "other")
	secure := listenWith(t, &engine.Server{}, "127.0.0.1:0", engine.ListenOptions{TLS: id.Server()})
	answers := func(answer string) string {
		return "ws://" + fake(t, func(nc net.Conn, _ *http.Request) { _, _ = io.WriteString(nc, answer) }).addr
	}
	const redirect = "HTTP/1.1 302 Found\r\nLocation: /chat\r\nContent-Length: 0\r\n\r\n"
	fails := func(err error) *engine.DialOptions {
		return &engine.DialOptions{NetDial: func(context.Context, string, string) (net.Conn, error) { return nil, err }}
	}
	returns := func(nc net.Conn) *engine.DialOptions {
		return &engine.DialOptions{NetDial: func(context.Context, string, string) (net.Conn, error) { return nc, nil }}
	}
	pipe, _ := net.Pipe()
	named := id.Client()
	named.ServerName = "another.test"
	proxy := func(u *url.URL, err error) *engine.DialOptions {
		return &engine.DialOptions{Proxy: func(*url.URL) (*url.URL, error) { return u, err }}
	}
	for name, c := range map[string]struct {
		url   string
		opt   *engine.DialOptions
		stage engine.DialStage
		as    func(err error) bool
		tells string
	}{
		"header":      {"ws://127.0.0.1:1", &engine.DialOptions{Header: http.Header{"A": {"\n"}}}, engine.StageSetup, as[*handshake.HeaderError], "A"},
		"resolve":     {"ws://none.test", fails(&net.DNSError{Err: "no such host", Name: "none.test", IsNotFound: true}), engine.StageResolve, as[*net.DNSError], "check the name"},
		"refused":     {"ws://127.0.0.1:1", nil, engine.StageConnect, as[*net.OpError], "nothing listens there"},
		"timeout":     {"ws://a.test", fails(os.ErrDeadlineExceeded), engine.StageConnect, is(os.ErrDeadlineExceeded), "stage connect"},
		"no socket":   {"ws://a.test", returns(pipe), engine.StageConnect, as[*engine.OptionError], "NetDial is a function that returned a *net.pipe: return a *net.TCPConn"},
		"TLS inside":  {"wss://a.test", returns(tls.Client(pipe, named)), engine.StageConnect, as[*engine.OptionError], "return the connection below its TLS, and dial wss://"},
		"no proxy":    {"ws://a.test", proxy(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, nil), engine.StageProxy, as[*engine.ProxyError], "127.0.0.1:1"},
		"which proxy": {"ws://a.test", proxy(nil, errors.New("no idea")), engine.StageProxy, as[*engine.ProxyError], "which one to use: no idea"},
		"authority":   {"wss://" + secure, &engine.DialOptions{TLS: other.Client()}, engine.StageTLS, as[x509.UnknownAuthorityError], "RootCAs"},
		"name":        {"wss://" + secure, &engine.DialOptions{TLS: named}, engine.StageTLS, as[*tls.CertificateVerificationError], "ServerName"},
		"no TLS":      {"wss://" + listen(t, new(engine.Server)), nil, engine.StageTLS, is(engine.ErrNotTLS), "dial ws://"},
		"TLS":         {"ws://" + secure, nil, engine.StageUpgrade, is(engine.ErrNoAnswer), "wss://"},
		"status":      {answers("HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\nlog in!\nx"), nil, engine.StageUpgrade, as[*engine.StatusError], `"log in!"; send credentials by DialOptions.Header, cookies by DialOptions.Jar`},
		"moved":       {answers(redirect), nil, engine.StageUpgrade, as[*engine.StatusError], "MaxRedirects"},
		"no HTTP":     {answers("SSH-2.0-OpenSSH_9.9\r\n"), nil, engine.StageUpgrade, is(handshake.ErrMalformedHead), ""},
		"bad":         {answers("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"), nil, engine.StageUpgrade, as[*handshake.ResponseError], "Accept"},
		"redirects":   {answers(redirect), &engine.DialOptions{MaxRedirects: 2}, engine.StageRedirect, is(engine.ErrTooManyRedirects), "MaxRedirects"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := engine.Dial(context.Background(), c.url, c.opt)
			failed, ok := errors.AsType[*engine.DialError](err)
			if !ok || failed.Stage != c.stage || !c.as(err) || !strings.Contains(err.Error(), c.tells) {
				t.Fatalf("%v (%+v), want stage %v and %q", err, failed, c.stage, c.tells)
			}
			if !strings.HasPrefix(err.Error(), "engine: dial "+c.url) || failed.Timeout() != (name == "timeout") {
				t.Errorf("%v, timeout %v", err, failed.Timeout())
			}
		})
	}
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }

// A dial that is given up says in which stage it was: here the server has read something,
// and answers nothing.
func TestDialErrorOfADialThatIsGivenUp(t *testing.T) {
	for scheme, want := range map[string]engine.DialStage{"ws": engine.StageUpgrade, "wss": engine.StageTLS} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			defer nc.Close()
			_, _ = nc.Read(make([]byte, 1))
			cancel()
			_, _ = io.Copy(io.Discard, nc)
		}()
		_, err = engine.Dial(ctx, scheme+"://"+ln.Addr().String(), nil)
		failed, ok := errors.AsType[*engine.DialError](err)
		if !ok || failed.Stage != want || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "stage "+want.String()) {
			t.Errorf("%s: %v, want stage %v", scheme, err, want)
		}
		_ = ln.Close()
	}
	if late := (&engine.DialError{Stage: engine.StageTLS, Err: engine.ErrHandshakeTimeout}); !late.Timeout() {
		t.Error(late)
	}
}
