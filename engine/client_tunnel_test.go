package engine_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// proxyServer is a proxy for user and secret that leads everywhere to one server.
type proxyServer struct {
	addr  string
	to    string
	asked chan string // what clients wanted to be connected to
	used  atomic.Int32
}

const (
	proxyUser     = "us:er"
	proxyPassword = "s@cr/t"
)

// startProxy runs ask for each connection, which returns whether to begin the
// tunnel.
func startProxy(t *testing.T, to string, ask func(p *proxyServer, nc net.Conn) bool) *proxyServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxyServer{addr: ln.Addr().String(), to: to, asked: make(chan string, 64)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(patience))
				if ask(p, nc) {
					p.splice(nc)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		running.Wait()
	})
	return p
}

// splice copies without splice(2), whose pipes net keeps.
func (p *proxyServer) splice(nc net.Conn) {
	p.used.Add(1)
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(nc, struct{ io.Reader }{server})
		_ = nc.Close()
	})
	_, _ = io.Copy(server, struct{ io.Reader }{nc})
	_ = server.Close()
	back.Wait()
}

// url is that of the proxy, with this password.
func (p *proxyServer) url(scheme, password string) func(*url.URL) (*url.URL, error) {
	return func(*url.URL) (*url.URL, error) {
		return &url.URL{Scheme: scheme, Host: p.addr, User: url.UserPassword(proxyUser, password)}, nil
	}
}

// askCONNECT is the side of the proxy in RFC 9110 section 9.3.6.
func askCONNECT(p *proxyServer, nc net.Conn) bool {
	req, err := http.ReadRequest(bufio.NewReader(nc))
	if err != nil {
		return false
	}
	p.asked <- req.Method + " " + req.RequestURI + " " + req.Host
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword))
	if req.Header.Get("Proxy-Authorization") != want {
		_, _ = io.WriteString(nc, "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n")
		return false
	}
	_, err = io.WriteString(nc, "HTTP/1.0 200 Connection established\r\n\r\n")
	return err == nil
}

// askSOCKS is the side of the proxy in RFC 1928 and RFC 1929.
func askSOCKS(p *proxyServer, nc net.Conn) bool {
	read := func(n byte) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(nc, b)
		return b
	}
	methods := read(read(2)[1])
	if !strings.Contains(string(methods), "\x02") {
		_, _ = nc.Write([]byte{5, 0xff})
		return false
	}
	_, _ = nc.Write([]byte{5, 2})
	user := string(read(read(2)[1]))
	password := string(read(read(1)[0]))
	if user != proxyUser || password != proxyPassword {
		_, _ = nc.Write([]byte{1, 1})
		return false
	}
	_, _ = nc.Write([]byte{1, 0})
	host := ""
	switch request := read(4); request[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = "name " + string(read(read(1)[0]))
	}
	p.asked <- fmt.Sprintf("%s port %d", host, binary.BigEndian.Uint16(read(2)))
	_, err := nc.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return err == nil
}

func TestDialThroughAProxy(t *testing.T) {
	for scheme, c := range map[string]struct {
		ask                 func(*proxyServer, net.Conn) bool
		name, addr, refusal string
	}{
		"http":    {askCONNECT, "CONNECT a.test:81 a.test:81", "CONNECT 10.0.0.1:80 10.0.0.1:80", "407"},
		"socks5":  {askSOCKS, "name a.test port 81", "10.0.0.1 port 80", "password"},
		"socks5h": {askSOCKS, "name a.test port 81", "10.0.0.1 port 80", "password"},
	} {
		t.Run(scheme, func(t *testing.T) {
			addr := listen(t, &engine.Server{Callbacks: echo})
			p := startProxy(t, addr, c.ask)
			for to, want := range map[string]string{"a.test:81": c.name, "10.0.0.1": c.addr} {
				got := make(chan string, 1)
				ws := dialEngine(t, to, &engine.DialOptions{
					Proxy:     p.url(scheme, proxyPassword),
					Callbacks: engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) }},
				})
				if err := ws.SendText("hello"); err != nil {
					t.Fatal(err)
				}
				if text := within(t, "the echo", got); text != "hello" {
					t.Errorf("got %q", text)
				}
				if asked := <-p.asked; asked != want {
					t.Errorf("the proxy was asked for %q, want %q", asked, want)
				}
			}

			_, err := engine.Dial(context.Background(), "ws://a.test/", &engine.DialOptions{Proxy: p.url(scheme, "wrong-one")})
			var refused *engine.ProxyError
			if !errors.As(err, &refused) || refused.Proxy != scheme+"://"+p.addr || !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("with a wrong password Dial returned %v, want a *ProxyError", err)
			}
			if strings.Contains(err.Error(), "wrong-one") || strings.Contains(err.Error(), proxyUser) {
				t.Errorf("the error tells the password or the user: %v", err)
			}
			if scheme == "http" && (refused.Status != 407 || refused.Reason != "Who are you" || refused.Header.Get("Proxy-Authenticate") == "") {
				t.Errorf("the error holds %+v", refused)
			}
			if n := p.used.Load(); n != 2 {
				t.Errorf("%d tunnels, want 2", n)
			}
		})
	}
}

func TestProxyIsAskedForByAWebURL(t *testing.T) {
	addr := listen(t, &engine.Server{})
	direct := func(want string) func(*url.URL) (*url.URL, error) {
		return func(u *url.URL) (*url.URL, error) {
			if u.String() != want {
				t.Errorf("Proxy got %s, want %s", u, want)
			}
			return nil, nil
		}
	}
	ws, err := engine.Dial(context.Background(), "ws://user:pass@"+addr+"/a?b", &engine.DialOptions{Proxy: direct("http://" + addr + "/a?b")})
	if err != nil {
		t.Fatal(err)
	}
	ws.CloseNow()
	within(t, "the end", ws.Done())

	why := errors.New("cannot say")
	_, err = engine.Dial(context.Background(), "ws://"+addr, &engine.DialOptions{
		Proxy: func(*url.URL) (*url.URL, error) { return nil, why },
	})
	if !errors.Is(err, why) {
		t.Errorf("Dial returned %v, want the error of Proxy", err)
	}
}

// What stands behind the answer of the proxy comes from the server.
func TestBytesBehindTheAnswerOfAProxyAreNotLost(t *testing.T) {
	p := startProxy(t, "", func(_ *proxyServer, nc net.Conn) bool {
		if _, err := http.ReadRequest(bufio.NewReader(nc)); err != nil {
			return false
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nHTTP/1.1 403 Forbidden\r\nX: y\r\n\r\n") // F-l
		_, _ = io.Copy(io.Discard, nc)
		return false
	})
	_, err := engine.Dial(context.Background(), "ws://a.test/", &engine.DialOptions{Proxy: p.url("http", "")})
	var refused *engine.StatusError
	if !errors.As(err, &refused) || refused.Status != 403 {
		t.Errorf("Dial returned %v, want what came behind the answer of the proxy", err)
	}
}

// The same error comes out of Dial as a *ProxyError of this package.
func TestProxyErrorComesOutOfDial(t *testing.T) {
	_, err := engine.Dial(context.Background(), "ws://a.test/", &engine.DialOptions{
		Proxy: (&proxyServer{addr: "127.0.0.1:1"}).url("http", proxyPassword),
	})
	var refused *engine.ProxyError
	var network *net.OpError
	if !errors.As(err, &refused) || refused.Proxy != "http://127.0.0.1:1" || !errors.As(err, &network) || strings.Contains(err.Error(), proxyPassword) {
		t.Errorf("Dial returned %v, want a *ProxyError for what the network says", err)
	}
}

// dialedURL makes the process dial instead, with its own environment.
const dialedURL = "FANLOOP_TEST_DIAL"

// The environment is looked at once, so this takes a process of its own.
func TestDialTakesTheProxyFromTheEnvironment(t *testing.T) {
	if u := os.Getenv(dialedURL); u != "" {
		opt := new(engine.DialOptions)
		if os.Getenv("FANLOOP_TEST_NO_PROXY") != "" {
			opt.Proxy = func(*url.URL) (*url.URL, error) { return nil, nil }
		}
		if to := os.Getenv("FANLOOP_TEST_NET_DIAL"); to != "" {
			opt.NetDial = func(context.Context, string, string) (net.Conn, error) { return net.Dial("tcp", to) }
		}
		opt.Limits.HandshakeTimeout = patience
		ws, err := engine.Dial(context.Background(), u, opt)
		if err != nil {
			t.Fatal(err)
		}
		ws.CloseNow()
		within(t, "the end", ws.Done())
		return
	}
	addr := listen(t, &engine.Server{})
	p := startProxy(t, addr, askCONNECT)
	proxyURL, _ := p.url("http", proxyPassword)(nil)
	dial := func(url string, env ...string) error {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "HTTP_PROXY="+proxyURL.String(), "NO_PROXY=direct.test", "REQUEST_METHOD=", dialedURL+"="+url)
		cmd.Env = append(cmd.Env, env...)
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), proxyPassword) {
			t.Errorf("the output tells the password: %s", out)
		}
		return err
	}
	if err := dial("ws://a.invalid/"); err != nil {
		t.Errorf("through the proxy of the environment: %v", err)
	}
	if asked := within(t, "the question", p.asked); asked != "CONNECT a.invalid:80 a.invalid:80" {
		t.Errorf("the proxy was asked for %q", asked)
	}
	if err := dial("ws://" + addr); err != nil {
		t.Errorf("to a loopback address, which has no proxy: %v", err)
	}
	if err := dial("ws://a.invalid/", "FANLOOP_TEST_NET_DIAL="+addr); err != nil {
		t.Errorf("by NetDial, which has no proxy: %v", err)
	}
	if err := dial("ws://a.invalid/", "NO_PROXY=a.invalid"); err == nil {
		t.Error("a name that NO_PROXY excepts, and nobody knows, was reached")
	}
	if err := dial("ws://a.invalid/", "FANLOOP_TEST_NO_PROXY=1"); err == nil {
		t.Error("a name that nobody knows was reached though Proxy says there is none")
	}
	if n := p.used.Load(); n != 1 {
		t.Errorf("%d tunnels, want 1", n)
	}
	if err := dial("ws://a.invalid/", "HTTP_PROXY=http://user:12/"+proxyPassword+"@127.0.0.1:1"); err == nil {
		t.Error("a proxy was used that cannot be told from a password")
	}
}
