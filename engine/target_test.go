package engine_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// A port that cannot be is called by its name, and before anybody is asked.
func TestDialNamesAPortThatCannotBe(t *testing.T) {
	for _, url := range []string{"ws://a.test:65536/", "wss://a.test:70000", "ws://[::1]:99999999999999999999/", "ws://u:p@a.test:65536/"} {
		_, err := engine.Dial(context.Background(), url, &engine.DialOptions{
			NetDial: func(context.Context, string, string) (net.Conn, error) {
				t.Error("asked")
				return nil, net.ErrClosed
			},
		})
		if err == nil || !strings.Contains(err.Error(), "port") || strings.Contains(err.Error(), "Host") {
			t.Errorf("%s: Dial returned %v", url, err)
		}
	}
}

// F-s: the same place spelt in another way is dialed, and asked for, as itself.
func TestDialSpellsTheAuthorityInOneWay(t *testing.T) {
	for url, want := range map[string]struct{ dialed, host string }{
		"ws://a.test/":               {"a.test:80", "a.test"},
		"ws://a.test:/":              {"a.test:80", "a.test"},
		"ws://a.test:80/":            {"a.test:80", "a.test"},
		"ws://a.test:0080/":          {"a.test:80", "a.test"},
		"ws://a.test:08080/":         {"a.test:8080", "a.test:8080"},
		"ws://[2001:DB8:0::1]:0080/": {"[2001:db8::1]:80", "[2001:db8::1]"},
		"ws://[2001:db8::1]:443/":    {"[2001:db8::1]:443", "[2001:db8::1]:443"},
	} {
		hosts := make(chan string, 1)
		s := fake(t, func(_ net.Conn, req *http.Request) { hosts <- req.Host })
		_, _ = engine.Dial(context.Background(), url, &engine.DialOptions{ // which the server does not answer
			NetDial: func(_ context.Context, _, addr string) (net.Conn, error) {
				if addr != want.dialed {
					t.Errorf("%s: dialed %s, want %s", url, addr, want.dialed)
				}
				return net.Dial("tcp", s.addr)
			},
		})
		if host := within(t, "the request", hosts); host != want.host {
			t.Errorf("%s: Host %s, want %s", url, host, want.host)
		}
	}
}

// F-s: a redirect to the same place spelt in another way keeps what is secret.
func TestRedirectToTheSamePlaceKeepsSecrets(t *testing.T) {
	secrets := make(chan string, 2)
	s := fake(t, func(nc net.Conn, req *http.Request) {
		secrets <- req.Header.Get("Authorization")
		answer := switching(req)
		if req.RequestURI == "/" {
			answer = redirecting("302", "ws://[0:0::1]:00081/there")
		}
		_, _ = nc.Write([]byte(answer))
		_, _ = nc.Read(make([]byte, 1))
	})
	err := dialPath(t, "ws://u:p@[::1]:81/", &engine.DialOptions{
		MaxRedirects: 1,
		NetDial:      func(context.Context, string, string) (net.Conn, error) { return net.Dial("tcp", s.addr) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if within(t, "a request", secrets) == "" {
			t.Error("no Authorization at the same place")
		}
	}
}
