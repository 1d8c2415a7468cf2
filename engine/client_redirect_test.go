package engine_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// answering is a server that answers as route says, for the path.
func answering(t *testing.T, route func(req *http.Request) string) *fakeServer {
	t.Helper()
	return fake(t, func(nc net.Conn, req *http.Request) {
		_, _ = io.WriteString(nc, route(req))
		_, _ = io.Copy(io.Discard, nc)
	})
}

// redirecting is the head of a redirect, with further lines.
func redirecting(status, location string, lines ...string) string {
	return "HTTP/1.1 " + status + " Elsewhere\r\nLocation: " + location + "\r\n" +
		strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

// dialPath opens a WebSocket and drops it.
func dialPath(t *testing.T, rawURL string, opt *engine.DialOptions) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, err := engine.Dial(ctx, rawURL, opt)
	if err != nil {
		return err
	}
	ws.CloseNow()
	within(t, "the end", ws.Done())
	return nil
}

func TestRedirectsAreFollowedWhenAllowed(t *testing.T) {
	target := answering(t, func(req *http.Request) string { return switching(req, "X-Path: "+req.RequestURI) })
	for _, status := range []string{"301", "302", "303", "307", "308"} {
		for location, want := range map[string]string{
			"ws://" + target.addr + "/there?x": "/there?x",
			"http://" + target.addr + "/web#a": "/web",
			"//" + target.addr:                 "/",
			"relative":                         "/a/relative",
			"/absolute":                        "/absolute",
			"/a@b":                             "/a@b",
		} {
			s := answering(t, func(req *http.Request) string {
				if req.RequestURI != "/a/b" {
					return switching(req, "X-Path: "+req.RequestURI)
				}
				return redirecting(status, location)
			})
			var answers []string
			err := dialPath(t, "ws://"+s.addr+"/a/b", &engine.DialOptions{
				MaxRedirects: 1,
				OnResponse:   func(resp *handshake.Response) { answers = append(answers, resp.Header("X-Path")) },
			})
			if err != nil || len(answers) != 2 || answers[1] != want {
				t.Errorf("%s to %s: %v, answers %q; want %q", status, location, err, answers, want)
			}
		}
	}
}

// H12
func TestRedirectLoopEnds(t *testing.T) {
	s := answering(t, func(req *http.Request) string { return redirecting("302", req.RequestURI) })
	err := dialPath(t, "ws://"+s.addr+"/round", &engine.DialOptions{MaxRedirects: 3})
	var refused *engine.StatusError
	if !errors.Is(err, engine.ErrTooManyRedirects) || !errors.As(err, &refused) || refused.Location() != "/round" {
		t.Errorf("Dial returned %v, want ErrTooManyRedirects with the last answer", err)
	}
	if n := s.accepted.Load(); n != 4 {
		t.Errorf("%d connections, want 4", n)
	}
}

// H12
func TestRedirectsThatLeadNowhere(t *testing.T) {
	for location, wants := range map[string]string{
		"ftp://a/":                           "ws or wss",
		"ws://":                              "no host",
		"ws://user:secret@a:b/":              "not a URL",
		"ws://user:secret@127.0.0.1:1/#\x7f": "",
		"http://[::1/":                       "points to",
		"ftp://user:12/secret@127.0.0.1/":    "ws or wss",
		"user:secret@127.0.0.1":              "ws or wss",
		"ftp://user:secret@127.0.0.1/":       "ws or wss",
	} {
		s := answering(t, func(req *http.Request) string { return redirecting("301", location) })
		err := dialPath(t, "ws://"+s.addr, &engine.DialOptions{MaxRedirects: 3})
		if err == nil || !strings.Contains(err.Error(), wants) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "user:") {
			t.Errorf("%q: Dial returned %v, want one that says %q", location, err, wants)
		}
	}
	s := answering(t, func(*http.Request) string { return "HTTP/1.1 304 Not Modified\r\nLocation: /\r\n\r\n" })
	var refused *engine.StatusError
	if err := dialPath(t, "ws://"+s.addr, &engine.DialOptions{MaxRedirects: 3}); !errors.As(err, &refused) || refused.Status != 304 {
		t.Errorf("Dial returned %v, want the 304", err)
	}
}

func TestUserOfTheURLIsSentToItsServerOnly(t *testing.T) {
	seen := func(req *http.Request) string {
		return switching(req, "X-Seen: "+req.Header.Get("Authorization")+"|"+strings.Join(req.Header["Cookie"], "|")+"|"+req.Header.Get("X-Other"))
	}
	other := answering(t, seen)
	s := answering(t, func(req *http.Request) string {
		switch req.URL.Path {
		case "/other":
			return redirecting("302", "ws://"+other.addr)
		case "/other-user":
			return redirecting("302", "ws://their:own@"+other.addr)
		case "/again":
			return redirecting("302", "ws://"+req.Host+"/")
		}
		return seen(req)
	})
	lower := strings.ToLower("Authorization") // as some write it
	own := http.Header{lower: {"Bearer x"}, "Cookie": {"a=b"}, "X-Other": {"1"}}
	for _, c := range []struct {
		url, path string
		header    http.Header
		want      string
	}{
		{"ws://me:pa%3ass@", "/", nil, "Basic bWU6cGE6c3M=||"},
		{"ws://me:pa%3ass@", "/again", nil, "Basic bWU6cGE6c3M=||"},
		{"ws://me:pa%3ass@", "/other", nil, "||"},
		{"ws://me:pa%3ass@", "/other-user", nil, "Basic dGhlaXI6b3du||"},
		{"ws://me:pa%3ass@", "/", own, "Bearer x|a=b|1"},
		{"ws://", "/again", own, "Bearer x|a=b|1"},
		{"ws://me:pa%3ass@", "/other", own, "||1"},
		{"ws://me@", "/", nil, "Basic bWU6||"},
	} {
		got := ""
		err := dialPath(t, c.url+s.addr+c.path, &engine.DialOptions{
			Header:       c.header,
			MaxRedirects: 1,
			OnResponse:   func(resp *handshake.Response) { got = resp.Header("X-Seen") },
		})
		if err != nil || got != c.want {
			t.Errorf("%s...%s: the server got %q, %v; want %q", c.url, c.path, got, err, c.want)
		}
	}
	if len(own) != 3 || own[lower] == nil || len(own["Cookie"]) != 1 {
		t.Errorf("the header of the options was changed: %v", own)
	}
}

// urlJar notes the URLs that a jar is asked for.
type urlJar struct {
	http.CookieJar
	urls []string
}

// Cookies implements http.CookieJar.
func (j *urlJar) Cookies(u *url.URL) []*http.Cookie {
	j.urls = append(j.urls, u.String())
	return j.CookieJar.Cookies(u)
}

func TestCookiesOfTheJar(t *testing.T) {
	s := answering(t, func(req *http.Request) string {
		switch req.URL.Path {
		case "/login":
			return "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nSet-Cookie: refused=1; Path=/\r\nSet-Cookie: second=2; Path=/\r\n\r\n"
		case "/moved":
			return redirecting("302", "/", "Set-Cookie: moved=3; Path=/")
		}
		return switching(req, "X-Seen: "+strings.Join(req.Header["Cookie"], "|"), "Set-Cookie: open=5; Path=/")
	})
	cookies, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar := &urlJar{CookieJar: cookies}
	dial := func(path string) (got string, err error) {
		err = dialPath(t, "ws://"+s.addr+path, &engine.DialOptions{
			Header:       http.Header{"Cookie": {"own=0"}},
			Jar:          jar,
			MaxRedirects: 1,
			OnResponse:   func(resp *handshake.Response) { got = resp.Header("X-Seen") },
		})
		return got, err
	}
	if got, err := dial("/"); err != nil || got != "own=0" {
		t.Errorf("with an empty jar the server got %q, %v", got, err)
	}
	if _, err := dial("/login"); err == nil {
		t.Error("a refusal is no error")
	}
	if got, err := dial("/moved"); err != nil || got != "own=0; open=5; refused=1; second=2; moved=3" {
		t.Errorf("after a refusal and a redirect the server got %q, %v", got, err)
	}
	want := []string{"http://" + s.addr + "/", "http://" + s.addr + "/login", "http://" + s.addr + "/moved", "http://" + s.addr + "/"}
	if !slices.Equal(jar.urls, want) {
		t.Errorf("the jar was asked for %q, want %q", jar.urls, want)
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
