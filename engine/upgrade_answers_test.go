package engine_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// readHead reads the head of an answer as it was sent: http.ReadResponse takes
// Connection: close out of it.
func (c *rawClient) readHead() (*handshake.Response, string) {
	c.t.Helper()
	head := ""
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := c.br.ReadString('\n')
		if err != nil {
			c.t.Fatalf("reading a head: %q, %v", head+line, err)
		}
		head += line
	}
	resp, err := handshake.ParseResponse([]byte(head))
	if err != nil {
		c.t.Fatalf("%q: %v", head, err)
	}
	return resp, head
}

// connectionOptions are the elements of the Connection headers.
func connectionOptions(resp *handshake.Response) []string {
	options := strings.Split(strings.ToLower(strings.Join(resp.Values("Connection"), ",")), ",")
	for i := range options {
		options[i] = strings.TrimSpace(options[i])
	}
	return options
}

// F-r: a refusal has a Date (RFC 9110 section 6.6.1), says what it closes, and with
// Upgrade says so in Connection (section 7.8), whoever received the request.
func TestRefusalsHaveTheHeadersOfHTTP(t *testing.T) {
	for name, serve := range map[string]func(*testing.T, *engine.Server) string{
		"listener": func(t *testing.T, srv *engine.Server) string { return listen(t, srv) },
		"net/http": mount,
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, &engine.Server{})
			plain := "GET /chat HTTP/1.1\r\nHost: " + addr + "\r\n\r\n"
			for request, want := range map[string]struct {
				status  int
				upgrade string
			}{
				plain:                                    {http.StatusUpgradeRequired, "websocket"},
				strings.Replace(plain, "GET", "HEAD", 1): {http.StatusUpgradeRequired, "websocket"},
				request(addr, "Version: 13", "Version: 99"):               {http.StatusUpgradeRequired, "websocket"},
				request(addr, "GET", "HEAD"):                              {http.StatusMethodNotAllowed, ""},
				request(addr, sampleKey, ""):                              {http.StatusBadRequest, ""},
				testkit.UpgradeHead(addr, "Origin: https://evil.example"): {http.StatusForbidden, ""},
			} {
				c := dialRaw(t, addr)
				c.send(request)
				method, _, _ := strings.Cut(request, " ")
				resp, _ := c.readHead()
				body, err := io.ReadAll(c.br) // to the end of the connection
				if err != nil || resp.Status != want.status || (len(body) == 0) != (method == "HEAD") {
					t.Errorf("%q: %d, body %q, %v; want %d", request, resp.Status, body, err, want.status)
				}
				if _, err := time.Parse(http.TimeFormat, resp.Header("Date")); err != nil {
					t.Errorf("%q: no Date: %v", request, err)
				}
				options := connectionOptions(resp)
				if !slices.Contains(options, "close") || slices.Contains(options, "upgrade") != (want.upgrade != "") ||
					resp.Header("Upgrade") != want.upgrade {
					t.Errorf("%q: Connection %q, Upgrade %q; want Upgrade %q", request, options, resp.Header("Upgrade"), want.upgrade)
				}
			}
		})
	}
}

// handshakeTimeout is a moment longer than the default.
const handshakeTimeout = 10*time.Second + 100*time.Millisecond

// F-r: an answer to HEAD has no body, also where the head is not valid or never
// whole.
func TestRefusedHeadRequestsGetNoBody(t *testing.T) {
	srv := &engine.Server{}
	clock := drive(t, srv)
	addr := listen(t, srv)
	for name, c := range map[string]struct {
		octets string
		status int
	}{
		"malformed": {"HEAD / HTTP/1.1\r\nHost : a\r\n\r\n", http.StatusBadRequest},
		"no Host":   {"HEAD / HTTP/1.1\r\n\r\n", http.StatusBadRequest},
		"too large": {"HEAD / HTTP/1.1\r\nX: " + strings.Repeat("a", 9<<10), http.StatusRequestHeaderFieldsTooLarge},
		"slow":      {"HEAD / HTTP/1.1\r\nX: ", http.StatusRequestTimeout},
	} {
		client, received := dialRaw(t, addr), srv.Stats().BytesIn
		client.send(c.octets)
		if c.status == http.StatusRequestTimeout {
			eventually(t, "it is received", func() bool { return srv.Stats().BytesIn >= received+uint64(len(c.octets)) })
			clock.step(handshakeTimeout)
		}
		if resp, _ := client.readHead(); resp.Status != c.status {
			t.Errorf("%s: %d, want %d", name, resp.Status, c.status)
		}
		client.wantEOF()
	}
}

// F-r: a 101 needs no Date and has no body.
func TestUpgradeIsAnsweredByTheHeadAlone(t *testing.T) {
	addr := listen(t, &engine.Server{})
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr))
	_, head := c.readHead()
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + testkit.AcceptKey + "\r\n\r\n"
	if head != want {
		t.Errorf("got %q, want %q", head, want)
	}
}
