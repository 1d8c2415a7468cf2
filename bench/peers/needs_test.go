package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// dialNeeds connects with what the server was asked to do, and checks that it
// agrees.
func dialNeeds(t *testing.T, s *server, needs []string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	url := "ws://" + s.addr + "/"
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	options := websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}}
	if slices.Contains(needs, doesTLS) {
		url = "wss://" + s.addr + "/"
	}
	compressed := slices.Contains(needs, doesDeflate)
	if compressed {
		options.CompressionMode = websocket.CompressionNoContextTakeover
	}
	takeover := slices.Contains(needs, doesTakeover)
	if takeover {
		compressed, options.CompressionMode = true, websocket.CompressionContextTakeover
	}
	c, response, err := websocket.Dial(ctx, url, &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(-1)
	agreed := response.Header.Get("Sec-WebSocket-Extensions")
	if strings.HasPrefix(agreed, "permessage-deflate") != compressed ||
		strings.Contains(agreed, "server_no_context_takeover") != (compressed && !takeover) {
		t.Fatalf("the server agrees to %q", agreed)
	}
	if state := response.TLS; (state != nil) != (url[:3] == "wss") || state != nil && state.Version != tls.VersionTLS13 {
		t.Fatalf("TLS is %+v", state)
	}
	return c
}

// Whatever a peer says it can do works for echoes and publishes, one by one and
// with TLS.
func TestAPeerDoesWhatItSays(t *testing.T) {
	for name, p := range peers {
		for _, need := range p.does {
			needs := []string{need}
			if need != doesTLS && slices.Contains(p.does, doesTLS) {
				needs = append(needs, doesTLS)
			}
			t.Run(name+"+"+strings.Join(needs, "+"), func(t *testing.T) {
				s := start(t, peerCommand(t, name, asked(needs)...))
				conns := []*websocket.Conn{dialNeeds(t, s, needs), dialNeeds(t, s, needs)}
				for n := range 5 {
					text := bytes.Repeat([]byte("what a peer says "), 100*n+1)
					for _, c := range conns {
						exchange(t, c, text, c)
					}
					exchange(t, conns[0], append([]byte("B"), text...), conns...)
				}
			})
		}
	}
}

// exchange sends text and wants it at all of to.
func exchange(t *testing.T, from *websocket.Conn, text []byte, to ...*websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := from.Write(ctx, websocket.MessageText, text); err != nil {
		t.Fatal(err)
	}
	for _, c := range to {
		kind, got, err := c.Read(ctx)
		if err != nil || kind != websocket.MessageText || !bytes.Equal(got, text) {
			t.Fatalf("%v of %d bytes, error %v; want %d", kind, len(got), err, len(text))
		}
	}
}

// asked are needs as arguments.
func asked(needs []string) (args []string) {
	for _, need := range needs {
		args = append(args, "+"+need)
	}
	return args
}
