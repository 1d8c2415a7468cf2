package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// What middleware set is in the answer, and so is what ShouldUpgrade returned; what
// belongs to the handshake or describes a body is not.
func TestHeadersOfMiddlewareAreInTheAnswer(t *testing.T) {
	srv := &engine.Server{ShouldUpgrade: func(*engine.Request) (http.Header, error) {
		return http.Header{"Set-Cookie": {"b=2"}, "X-Own": {"1"}}, nil
	}}
	addr := serveHandler(t, srv, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Set-Cookie": "a=1", "X-Request-Id": "17", "Content-Security-Policy": "default-src 'self'",
			"Content-Type": "text/html", "Content-Length": "5", "Content-Encoding": "gzip", "Connection": "close",
			"Sec-Websocket-Accept": "x", "Sec-Websocket-Protocol": "x", "Transfer-Encoding": "chunked",
		} {
			w.Header().Set(name, value)
		}
		srv.ServeHTTP(w, r)
	}))
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr))
	got := c.wantUpgraded().Header
	for name, want := range map[string]string{
		"Set-Cookie": "[a=1 b=2]", "X-Request-Id": "[17]", "X-Own": "[1]", "Content-Security-Policy": "[default-src 'self']",
		"Content-Type": "[]", "Content-Length": "[]", "Content-Encoding": "[]", "Connection": "[Upgrade]",
		"Sec-Websocket-Accept": "[" + testkit.AcceptKey + "]", "Sec-Websocket-Protocol": "[]", "Transfer-Encoding": "[]",
	} {
		if values := fmt.Sprint(got.Values(name)); values != want {
			t.Errorf("%s is %s, want %s", name, values, want)
		}
	}
}

// The client sees status, headers and the beginning of the body.
func TestRefusalsCarryHeadersAndABody(t *testing.T) {
	long := strings.Repeat("x", 5000)
	eachEntrance(t, func(t *testing.T, serve entranceFunc) {
		addr := serve(t, &engine.Server{ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			if req.Header("X-Long") != "" {
				return nil, engine.Reject(http.StatusTooManyRequests, long).WithHeader("Retry-After", "7")
			}
			return nil, engine.Reject(http.StatusUnauthorized, "log in first").WithHeader("WWW-Authenticate", `Bearer realm="chat"`)
		}})
		got := refusalOf(t, addr, nil)
		if got.Status != 401 || fmt.Sprint(got.Header["Www-Authenticate"]) != `[Bearer realm="chat"]` || string(got.Body) != "log in first\n" {
			t.Errorf("got %d, %v, %q", got.Status, got.Header, got.Body)
		}
		got = refusalOf(t, addr, http.Header{"X-Long": {"1"}})
		if got.Status != 429 || fmt.Sprint(got.Header["Retry-After"]) != "[7]" || string(got.Body) != long[:1<<10] {
			t.Errorf("got %d, %v, %d bytes", got.Status, got.Header, len(got.Body))
		}
	})
}

// refusalOf dials and returns how the server refuses.
func refusalOf(t *testing.T, addr string, header http.Header) *engine.StatusError {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := engine.Dial(ctx, "ws://"+addr+"/chat", &engine.DialOptions{Header: header})
	var refusal *engine.StatusError
	if !errors.As(err, &refusal) {
		t.Fatalf("Dial returned %v, want a *StatusError", err)
	}
	return refusal
}

// Whatever a server does about its body, Dial returns what came.
func TestRefusalsWithBodiesOfAllKinds(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"chunked":        {"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n5\r\n here\r\n0\r\n\r\n", "not here"},
		"to the end":     {"HTTP/1.1 403 No\r\nConnection: close\r\n\r\nnot here", "not here"},
		"never finished": {"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nnot here", "not here"},
		"never begun":    {"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\n", ""},
		"malformed":      {"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\nxyz", "not"},
		"length unknown": {"HTTP/1.1 403 No\r\n\r\nnot here", "not here"},
		"none":           {"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", ""},
		"a redirect's":   {"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 8\r\n\r\nnot here", "not here"},
	} {
		t.Run(name, func(t *testing.T) {
			nl, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer nl.Close()
			go func() {
				nc, err := nl.Accept()
				if err != nil {
					return
				}
				_, _ = nc.Read(make([]byte, 4096))
				for i := range len(c.answer) {
					_, _ = nc.Write([]byte{c.answer[i]})
				}
				if name == "to the end" {
					_ = nc.Close()
					return
				}
				_, _ = nc.Read(make([]byte, 1)) // until Dial leaves
				_ = nc.Close()
			}()
			got := refusalOf(t, nl.Addr().String(), nil)
			if got.Status/100 == 1 || string(got.Body) != c.want {
				t.Errorf("got %d, %q; want %q", got.Status, got.Body, c.want)
			}
		})
	}
}
