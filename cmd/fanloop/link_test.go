package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestDialConnectsToAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	url := "ws://any.example/"
	got := command(t, "", nil, "dial", url, "--unix", path)
	if want := (result{exitFailed, "", "fanloop: " + url + ": there is no " + path + "; is the server up?\n"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	start(t, nil, nil, "echo", "--unix", path).out.await(t, "listening on unix:")
	got = command(t, "hello\n", nil, "dial", url, "--unix", path, "--count", "1", "--quiet")
	if want := (result{exitOK, "hello\n", ""}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// tunnels is an HTTP proxy that tells where it makes tunnels to.
func tunnels(t *testing.T) (proxy string, asked <-chan string) {
	t.Helper()
	targets := make(chan string, 16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		targets <- r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		if r.Host == "fanloop.invalid:1" { // which a resolver may take its time to tell
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		server, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer server.Close()
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		}()
		_, _ = io.Copy(client, server) // until one of them ends
	}))
	t.Cleanup(srv.Close)
	return srv.URL, targets
}

func TestDialGoesThroughTheProxyItIsTold(t *testing.T) {
	s := startEcho(t, "--self-signed")
	proxy, asked := tunnels(t)
	withUser := strings.Replace(proxy, "://", "://user:pass@", 1)
	for _, k := range []struct{ flag, env string }{
		{withUser, ""}, {"", "FANLOOP_DIAL_PROXY=" + withUser},
	} {
		args := []string{"dial", s.url("/"), "--insecure", "--count", "1", "--quiet"}
		if k.flag != "" {
			args = append(args, "--proxy", k.flag)
		}
		got := command(t, "hello\n", []string{k.env}, args...)
		if want := (result{exitOK, "hello\n", ""}); got != want {
			t.Errorf("%+v: %+v, want %+v", k, got, want)
		}
		if got, want := <-asked, "CONNECT "+s.addr+" Basic dXNlcjpwYXNz"; got != want {
			t.Errorf("%+v: the proxy was asked %q, want %q", k, got, want)
		}
	}
	env := []string{"HTTPS_PROXY=" + proxy, "https_proxy=" + proxy, "NO_PROXY=", "no_proxy="}
	url := "wss://fanloop.invalid:1/"
	got := command(t, "", env, "dial", url, "--proxy", "none")
	if got.code != exitFailed || len(asked) > 0 {
		t.Errorf("--proxy none: %+v, the proxy was asked %d times", got, len(asked))
	}
	got = command(t, "", env, "dial", url)
	want := result{exitFailed, "", "fanloop: " + url + ": no way through the proxy " + proxy + ": it answered 502: \"Bad Gateway\"\n"}
	if got != want || len(asked) != 1 {
		t.Errorf("by the environment: %+v, want %+v; the proxy was asked %d times", got, want, len(asked))
	}
}

func TestDialReconnectsWhenTheConnectionEnds(t *testing.T) {
	ends := make(chan bool, 3)
	ends <- true // drop
	ends <- false
	address := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		if <-ends {
			return
		}
		for {
			kind, p, err := ws.ReadMessage()
			if err != nil || ws.WriteMessage(kind, p) != nil {
				return
			}
		}
	})
	stdin, typing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer typing.Close()
	p := start(t, stdin, nil, "dial", address, "--reconnect", "--count", "1")
	_ = stdin.Close() // the program has it
	told := "connected to " + address + "\nclosed: 1006 abnormal closure (engine: the peer ended the connection without a close frame; it crashed, or the network failed); next attempt in "
	p.err.await(t, "s\nconnected to "+address+"\n")
	if got := p.err.String(); !strings.HasPrefix(got, told) {
		t.Errorf("%q, want %q", got, told)
	}
	if _, err := io.WriteString(typing, "still there\n"); err != nil {
		t.Fatal(err)
	}
	_ = typing.Close()
	if status := p.wait(t); status.ExitStatus() != exitOK || p.out.String() != "still there\n" {
		t.Errorf("exit status %d, stdout %q, stderr %q", status.ExitStatus(), &p.out, &p.err)
	}
	if got := p.err.String(); !strings.HasSuffix(got, "\nclosed: 1000 normal closure\n") {
		t.Errorf("%q at the end", got)
	}
}

func TestLinesWaitUntilThereIsAConnection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	p := start(t, strings.NewReader("patient\n"), nil, "dial", "ws://any.example/", "--unix", path, "--reconnect", "--count", "1")
	p.err.await(t, "ws://any.example/: there is no "+path+"; is the server up?; next attempt in ")
	start(t, nil, nil, "echo", "--unix", path)
	if status := p.wait(t); status.ExitStatus() != exitOK || p.out.String() != "patient\n" {
		t.Errorf("exit status %d, stdout %q, stderr %q", status.ExitStatus(), &p.out, &p.err)
	}
}

func TestDialDoesNotReconnectWhereThatWouldNotHelp(t *testing.T) {
	denied := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(denied.Close)
	refused := "ws" + strings.TrimPrefix(denied.URL, "http")
	got := command(t, "", nil, "dial", refused, "--reconnect")
	if want := (result{exitFailed, "", "fanloop: " + refused + ": the server answered 404 Not Found instead of opening a WebSocket: \"404 page not found\"\n"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	address := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1008, "banned"), time.Now().Add(patience))
		_, _, _ = ws.ReadMessage() // the answer
	})
	p := start(t, silence(t), nil, "dial", address, "--reconnect")
	status := p.wait(t)
	if want := "connected to " + address + "\nclosed: 1008 policy violation, \"banned\"\n"; status.ExitStatus() != exitClosed || p.err.String() != want {
		t.Errorf("exit status %d, stderr %q, want %q", status.ExitStatus(), &p.err, want)
	}
}

func TestInterruptEndsTheWaitForAConnection(t *testing.T) {
	wantEnd := func(p *process) {
		t.Helper()
		p.err.await(t, "next attempt in ")
		p.signal(t, syscall.SIGINT)
		status := p.wait(t)
		if want := "fanloop: there was no connection at the end\n"; status.ExitStatus() != exitFailed || !strings.HasSuffix(p.err.String(), want) {
			t.Errorf("exit status %d, stderr %q, want %q at the end", status.ExitStatus(), &p.err, want)
		}
	}
	wantEnd(start(t, silence(t), nil, "dial", closedPort(t), "--reconnect"))
	path := filepath.Join(t.TempDir(), "s")
	s := start(t, nil, nil, "echo", "--unix", path)
	s.out.await(t, "listening on unix:")
	p := start(t, silence(t), nil, "dial", "ws://any.example/", "--unix", path, "--reconnect")
	p.err.await(t, "connected")
	s.signal(t, syscall.SIGTERM)
	s.wait(t)
	p.err.await(t, "there is no "+path)
	wantEnd(p)
}
