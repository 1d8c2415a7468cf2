package engine_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// Who dials with the wrong scheme, or past the proxy that a server expects, is
// told what to try.
func TestDialSaysWhatToTry(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	serve := func(opt engine.ListenOptions) string { return listenWith(t, &engine.Server{}, "127.0.0.1:0", opt) }
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	closes := func(answer string) string {
		return fake(t, func(nc net.Conn, _ *http.Request) { _, _ = io.WriteString(nc, answer) }).addr
	}
	tlsWeb := httptest.NewTLSServer(http.NotFoundHandler())
	tlsWeb.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(tlsWeb.Close)
	const nginx = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>"
	const alert = "\x15\x03\x01\x00\x02\x02\x0a" // unexpected_message, as OpenSSL answers
	for name, c := range map[string]struct {
		url   string
		want  error
		tells string
	}{
		"ws to our TLS":              {"ws://" + serve(engine.ListenOptions{TLS: id.Server()}), engine.ErrNoAnswer, "wss://"},
		"ws to TLS with an alert":    {"ws://" + closes(alert), engine.ErrNeedsTLS, "wss://"},
		"ws to TLS of net/http":      {"ws://" + tlsWeb.Listener.Addr().String(), engine.ErrNeedsTLS, "wss://"},
		"ws to TLS of nginx":         {"ws://" + closes(nginx), engine.ErrNeedsTLS, "wss://"},
		"wss to no TLS":              {"wss://" + serve(engine.ListenOptions{}), engine.ErrNotTLS, " ws://"},
		"wss to no TLS of net/http":  {"wss://" + web.Listener.Addr().String(), engine.ErrNotTLS, " ws://"},
		"past the proxy":             {"ws://" + serve(fromProxy), engine.ErrNoAnswer, "PROXY header"},
		"past the proxy, TLS behind": {"wss://" + serve(engine.ListenOptions{TLS: id.Server(), ProxyProtocol: fromProxy.ProxyProtocol}), engine.ErrNoAnswer, "PROXY header"},
		"nothing comes":              {"ws://" + closes(""), engine.ErrNoAnswer, "PROXY header"},
		"half an answer":             {"ws://" + closes("HTTP/1.1 1"), engine.ErrAbnormalClosure, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := engine.Dial(context.Background(), c.url, &engine.DialOptions{TLS: id.Client()})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.tells) {
				t.Errorf("Dial returned %v, want %v that says %q", err, c.want, c.tells)
			}
			if errors.Is(err, engine.ErrNoAnswer) && c.want != engine.ErrNoAnswer {
				t.Errorf("Dial returned %v, though there was an answer", err)
			}
		})
	}
}

// The wrong scheme stays wrong; a server that does not answer may be starting.
func TestWrongSchemeIsFinalAndNoAnswerIsNot(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	wantVerdict(t, "wss://"+web.Listener.Addr().String(), nil, true)
	silent := fake(t, func(net.Conn, *http.Request) {})
	wantVerdict(t, "ws://"+silent.addr, nil, false)
}
