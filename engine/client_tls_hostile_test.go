package engine_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// fakeTLS is fake over TLS.
func fakeTLS(t *testing.T, id *testkit.Identity, script func(nc net.Conn, req *http.Request)) *fakeServer {
	t.Helper()
	return serveFake(t, func(nc net.Conn) net.Conn { return tls.Server(nc, id.Server()) }, script)
}

// H12
func TestHostileServersOverTLS(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	wait := func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }
	endless := func(nc net.Conn) {
		for line := []byte(strings.Repeat("X: abcdefghijklmnop\r\n", 200)); ; {
			if _, err := nc.Write(line); err != nil {
				return // the client gave up
			}
		}
	}
	for name, c := range map[string]struct {
		answer func(req *http.Request) string
		then   func(nc net.Conn)
		is     error // nil: a *handshake.ResponseError
	}{
		"wrong accept": {func(req *http.Request) string {
			return strings.Replace(switching(req), "Accept: ", "Accept: x", 1)
		}, wait, nil},
		"101 with body": {func(req *http.Request) string { return switching(req, "Content-Length: 5") + "hello" }, wait, nil},
		"endless":       {func(*http.Request) string { return "HTTP/1.1 101 OK\r\n" }, endless, handshake.ErrHeadTooLarge},
		"mid head":      {func(*http.Request) string { return "HTTP/1.1 101 OK\r\nX" }, func(net.Conn) {}, engine.ErrAbnormalClosure},
		"silent":        {func(*http.Request) string { return "" }, wait, engine.ErrHandshakeTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			s := fakeTLS(t, id, func(nc net.Conn, req *http.Request) {
				_, _ = io.WriteString(nc, c.answer(req))
				c.then(nc)
			})
			opt := &engine.DialOptions{TLS: id.Client()}
			if c.is == engine.ErrHandshakeTimeout {
				opt.Limits.HandshakeTimeout = 200 * time.Millisecond
			}
			before, _ := allocated()
			_, err := engine.Dial(context.Background(), "wss://"+s.addr, opt)
			after, _ := allocated()
			var refused *handshake.ResponseError
			if c.is != nil && !errors.Is(err, c.is) || c.is == nil && !errors.As(err, &refused) {
				t.Errorf("Dial returned %v, want %v", err, c.is)
			}
			if after-before > 4<<20 { // both sides of TLS are in this process
				t.Errorf("%d bytes were allocated", after-before)
			}
		})
	}
}

// H12
func TestServersThatDoNotSpeakTLS(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		is     error // nil: whatever TLS says
	}{
		"plain HTTP":  {"HTTP/1.1 400 Bad Request\r\n\r\n", nil},
		"goes away":   {"", io.ErrUnexpectedEOF},
		"endless TLS": {strings.Repeat("\x16\x03\x03\x40\x00"+strings.Repeat("\x02\x00\x00\x00", 4<<10), 64), nil},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(patience))
				_, _ = nc.Read(make([]byte, 1<<10))
				_, _ = io.WriteString(nc, c.answer)
				if c.answer == "" {
					_ = nc.(*net.TCPConn).CloseWrite()
				}
				_, _ = io.Copy(io.Discard, nc)
			}()
			_, err = engine.Dial(context.Background(), "wss://"+ln.Addr().String(), nil)
			if err == nil || errors.Is(err, engine.ErrHandshakeTimeout) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("Dial returned %v", err)
			}
			_ = ln.Close()
			within(t, "the end of the server", served)
		})
	}
}

// L07: a TLS handshake under way ends with ctx and with the group.
func TestTLSHandshakeEndsWithContextAndGroup(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, want := range map[string]error{"ctx": context.Canceled, "group": loop.ErrStopped} {
		t.Run(name, func(t *testing.T) {
			group, err := loop.Start(loop.Config{Loops: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer group.Stop(context.Background())
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			dialed := make(chan error, 1)
			go func() {
				_, err := engine.Dial(ctx, "wss://"+ln.Addr().String(), &engine.DialOptions{Group: group})
				dialed <- err
			}()
			nc, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			c := newRawClient(t, nc)
			if _, err := c.br.ReadByte(); err != nil { // of the ClientHello
				t.Fatal(err)
			}
			if name == "ctx" {
				cancel()
			} else if err := group.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := within(t, "the end of Dial", dialed); !errors.Is(err, want) {
				t.Errorf("Dial returned %v, want %v", err, want)
			}
			c.wantGone()
		})
	}
}

// F04, F10: what a client answers over TLS to a server that breaks rules.
func TestClientFailsServersThatBreakFramingOverTLS(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	for frame, code := range map[string]engine.StatusCode{
		"\xc1\x00":         engine.StatusProtocolError,
		"\x82\x7e\x04\x01": engine.StatusMessageTooBig,
	} {
		closes := make(chan engine.StatusCode, 1)
		s := fakeTLS(t, id, func(nc net.Conn, req *http.Request) {
			_, _ = io.WriteString(nc, switching(req)+frame)
			raw, _ := io.ReadAll(nc)
			h, n, err := codec.ParseHeader(raw)
			if err != nil || n == 0 || len(raw) != n+int(h.Length) {
				t.Errorf("the client sent % x", raw)
				closes <- 0
				return
			}
			for i := range raw[n:] {
				raw[n+i] ^= h.Mask[i%4]
			}
			got, _, _ := codec.ParseClosePayload(raw[n:])
			closes <- got
		})
		ws := dialTLS(t, "wss://"+s.addr, &engine.DialOptions{TLS: id.Client(), Limits: engine.Limits{MaxMessage: 1024}})
		if got := within(t, "the close frame of the client", closes); got != code {
			t.Errorf("the client closed with %d, want %d", got, code)
		}
		within(t, "the end", ws.Done())
	}
}
