package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// resolveTo makes every name lead to these addresses until the test ends.
func resolveTo(t *testing.T, addrs ...[4]byte) {
	t.Helper()
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				for answerDNS(server, addrs) == nil {
				}
			}()
			return client, nil
		},
	}
}

// answerDNS answers one question asked over a stream (RFC 1035 section 4.2.2).
func answerDNS(nc net.Conn, addrs [][4]byte) error {
	var length [2]byte
	if _, err := io.ReadFull(nc, length[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(nc, question); err != nil {
		return err
	}
	var msg dnsmessage.Message
	if err := msg.Unpack(question); err != nil {
		return err
	}
	msg.Response, msg.Additionals = true, nil
	if q := msg.Questions[0]; q.Type == dnsmessage.TypeA {
		for _, a := range addrs {
			msg.Answers = append(msg.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: a},
			})
		}
	}
	answer, err := msg.Pack()
	if err != nil {
		return err
	}
	_, err = nc.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

func TestDialTriesTheNextAddressOfAName(t *testing.T) {
	resolveTo(t, [4]byte{127, 0, 0, 2}, [4]byte{127, 0, 0, 3})
	for _, answers := range []string{"127.0.0.2", "127.0.0.3"} { // whichever is tried first
		t.Run(answers, func(t *testing.T) {
			addr := listenWith(t, &engine.Server{Callbacks: echo}, answers+":0", engine.ListenOptions{})
			_, port, _ := net.SplitHostPort(addr)
			ws := dialEngine(t, "two.test:"+port, nil)
			if got := ws.RemoteAddr().String(); got != addr {
				t.Errorf("connected to %s, want %s", got, addr)
			}
		})
	}
}

func TestDialConnectsFromLocalAddr(t *testing.T) {
	peers := make(chan string, 1)
	addr := listen(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		peers <- ws.RemoteAddr().String()
	}})
	ws := dialEngine(t, addr, &engine.DialOptions{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1).To4()}})
	if got, want := within(t, "the connection", peers), ws.LocalAddr().String(); got != want || !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("the server sees %s, the client %s", got, want)
	}
	elsewhere := &engine.DialOptions{LocalAddr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}} // not of this machine
	if _, err := engine.Dial(context.Background(), "ws://"+addr, elsewhere); err == nil {
		t.Error("Dial from an address that this machine does not have succeeded")
	}
}

func TestNetDialReplacesTheDialer(t *testing.T) {
	path := socketPath(t)
	nl, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &engine.Server{Callbacks: echo}
	listen(t, srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(nl) }()
	t.Cleanup(func() {
		_ = srv.Close()
		within(t, "the end of Serve", served)
	})
	got := make(chan string, 1)
	ws := dialEngine(t, "[fe80::1%25eth0]", &engine.DialOptions{
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if network != "tcp" || addr != "[fe80::1%eth0]:80" {
				t.Errorf("NetDial got %q, %q", network, addr)
			}
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
		Callbacks: engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) }},
	})
	if err := ws.SendText("hello"); err != nil {
		t.Fatal(err)
	}
	if text := within(t, "the echo", got); text != "hello" {
		t.Errorf("got %q", text)
	}
}

func TestNetDialThatGivesNothingOfUse(t *testing.T) {
	why := errors.New("no way")
	ours, theirs := net.Pipe()
	for name, c := range map[string]struct {
		conn net.Conn
		err  error
	}{
		"error":         {nil, why},
		"nothing":       {nil, nil},
		"no descriptor": {ours, nil},
	} {
		ws, err := engine.Dial(context.Background(), "ws://a.test/", &engine.DialOptions{
			NetDial: func(context.Context, string, string) (net.Conn, error) { return c.conn, c.err },
		})
		if err == nil || ws != nil || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: Dial returned %v, %v", name, ws, err)
		}
	}
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection that cannot be used was not closed: %v", err)
	}
}

// L07
func TestDialEndsWithItsGroup(t *testing.T) {
	for _, when := range []string{"dialing", "asking"} {
		t.Run(when, func(t *testing.T) {
			group, err := loop.Start(loop.Config{Loops: 1})
			if err != nil {
				t.Fatal(err)
			}
			under := make(chan struct{}, 1)
			s := fake(t, func(nc net.Conn, _ *http.Request) {
				under <- struct{}{}
				_, _ = io.Copy(io.Discard, nc)
			})
			opt := &engine.DialOptions{Group: group}
			if when == "dialing" {
				opt.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					under <- struct{}{}
					<-ctx.Done()
					return nil, ctx.Err()
				}
			}
			dialed := make(chan error, 1)
			go func() {
				_, err := dialFake(s, opt)
				dialed <- err
			}()
			within(t, "the dial", under)
			if err := group.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := within(t, "the end of Dial", dialed); !errors.Is(err, loop.ErrStopped) {
				t.Errorf("Dial returned %v, want loop.ErrStopped", err)
			}
		})
	}
}

func TestOnResponseSeesTheAnswerBeforeOnUpgrade(t *testing.T) {
	s := fake(t, func(nc net.Conn, req *http.Request) {
		_, _ = io.WriteString(nc, switching(req, "X-Node: 7"))
		_, _ = io.Copy(io.Discard, nc)
	})
	var node string
	upgraded := ""
	ws, err := dialFake(s, &engine.DialOptions{
		OnResponse: func(resp *handshake.Response) { node = resp.Header("X-Node") },
		OnUpgrade:  func(*engine.WebSocket) { upgraded = node },
	})
	if err != nil {
		t.Fatal(err)
	}
	ws.CloseNow()
	within(t, "the end", ws.Done())
	if node != "7" || upgraded != "7" {
		t.Errorf("OnResponse saw %q, OnUpgrade %q", node, upgraded)
	}
	_, err = dialFake(s, &engine.DialOptions{OnResponse: func(*handshake.Response) { panic("oops") }})
	var panicked *engine.PanicError
	if !errors.As(err, &panicked) {
		t.Errorf("Dial returned %v after a panic of OnResponse", err)
	}
}

func TestErrorsOfDialHoldNoPassword(t *testing.T) {
	for _, url := range []string{
		"ws://user:secret@127.0.0.1:1/",
		"ws://user:secret@a:b/",
		"ws://user:secr%et@a/",
		"ws://user:sec/ret@a/",
		"ws://user:sec ret@a/",
		"http://user:secret@a/",
		"ws://user:secret@a/#part",
		"ws://user:secret@bücher.test/",
		"ws://user:secret@127.0.0.1:1/#\x7f",
		"ws://user:12/secret@host.test/",
		"ws://user:12?secret@host.test/",
		"ws://user:12/#secret@host.test/",
		"ws://user:/secret@host.test/",
		"ws://user:x@12/secret@host.test/",
		"ws://user.test:12/secret@host.test/",
		"ws://user/secret@host.test/",
		"ws:user:secret@host.test/",
		"user:secret@host.test",
	} {
		_, err := engine.Dial(context.Background(), url, &engine.DialOptions{
			NetDial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not here") },
		})
		if err == nil {
			t.Errorf("Dial(%q) did not fail", url)
			continue
		}
		for _, part := range []string{"secr", "sec", "ret", "%et", "user:", "user."} {
			if strings.Contains(err.Error(), part) {
				t.Errorf("Dial(%q): %v", url, err)
			}
		}
	}
}

func TestURLOfDialBecomesHostAndTarget(t *testing.T) {
	for url, want := range map[string]string{
		"ws://Name.test":             "Name.test /",
		"ws://name.test:80/a?b=c%20": "name.test /a?b=c%20",
		"ws://name.test:81/":         "name.test:81 /",
		"WS://[::1]:80":              "[::1] /",
		"ws://[fe80::1%25lo]:8080/":  "[fe80::1]:8080 /",
		"ws://name.test/%c3%a9":      "name.test /%c3%a9",
		"ws://name.test/@a?b=c@d":    "name.test /@a?b=c@d",
		"ws://u:p@name.test:81/%40a": "name.test:81 /%40a",
		"ws://127.0.0.1:81/a@b":      "127.0.0.1:81 /a@b",
		"ws://localhost:81/a@b":      "localhost:81 /a@b",
		"ws://name.test:81/@a?b@c":   "name.test:81 /@a?b@c",
		"ws://name/@a":               "name /@a",
	} {
		s := fake(t, func(nc net.Conn, req *http.Request) {
			_, _ = io.WriteString(nc, switching(req, "X-Got: "+req.Host+" "+req.RequestURI))
			_, _ = io.Copy(io.Discard, nc)
		})
		got := ""
		ws, err := engine.Dial(context.Background(), url, &engine.DialOptions{
			NetDial:    func(context.Context, string, string) (net.Conn, error) { return net.Dial("tcp", s.addr) },
			OnResponse: func(resp *handshake.Response) { got = resp.Header("X-Got") },
		})
		if err != nil {
			t.Fatal(err)
		}
		ws.CloseNow()
		within(t, "the end", ws.Done())
		if got != want {
			t.Errorf("%s: the server got %q, want %q", url, got, want)
		}
	}
}
