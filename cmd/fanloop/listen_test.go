package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// get returns what a page answers.
func get(t *testing.T, transport *http.Transport, url string) string {
	t.Helper()
	transport.DisableKeepAlives = true
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v", url, resp.StatusCode, err)
	}
	return string(body)
}

// wantEcho wants back what is sent.
func wantEcho(t *testing.T, ws *websocket.Conn) {
	t.Helper()
	const message = "there and back"
	if err := ws.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := ws.ReadMessage(); err != nil || string(got) != message {
		t.Errorf("%q came back, %v", got, err)
	}
}

func dialBy(t *testing.T, dialer *websocket.Dialer, url string) *websocket.Conn {
	t.Helper()
	ws, _, err := dialer.DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	return ws
}

func TestCertificateOfTheFilesIsServedAndReadAgainWhenTheyChange(t *testing.T) {
	dir := t.TempDir()
	first := newIdentity(t, dir)
	s := startEcho(t, "--tls-cert", first.certFile, "--tls-key", first.keyFile)
	if s.scheme != "wss" {
		t.Fatalf("the ready line says %s", s.scheme)
	}
	wantEcho(t, dialBy(t, &websocket.Dialer{TLSClientConfig: first.client()}, s.url("/")))
	page := get(t, &http.Transport{TLSClientConfig: first.client()}, "https://"+s.addr+"/")
	if !strings.Contains(page, "<!doctype html>") {
		t.Errorf("the page is %.100q", page)
	}
	second := newIdentity(t, dir)
	eventually(t, "the new certificate is served", func() bool {
		conn, err := tls.Dial("tcp", s.addr, second.client())
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	s.err.await(t, `level=INFO msg="engine: the certificate was renewed"`)
}

func TestSelfSignedCertificateIsTheOneOfTheFingerprint(t *testing.T) {
	s := startEcho(t, "--self-signed")
	line := s.out.await(t, "SHA-256 ")
	if !strings.Contains(line, "certificate made for localhost, 127.0.0.1, ::1, SHA-256 ") {
		t.Errorf("ready lines %q", line)
	}
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cert := conn.ConnectionState().PeerCertificates[0]
	if want := "SHA-256 " + cli.Fingerprint(cert.Raw) + "\n"; !strings.HasSuffix(line, want) {
		t.Errorf("ready lines %q, want %q at the end", line, want)
	}
}

func TestClientsMustShowACertificateOfTheAuthority(t *testing.T) {
	alice, mallory := newIdentity(t, t.TempDir()), newIdentity(t, t.TempDir())
	s := startEcho(t, "--self-signed", "--tls-client-ca", alice.certFile)
	config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{alice.cert}}
	wantEcho(t, dialBy(t, &websocket.Dialer{TLSClientConfig: config}, s.url("/")))
	for name, certificates := range map[string][]tls.Certificate{"none": nil, "another": {mallory.cert}} {
		dialer := &websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certificates}}
		if _, _, err := dialer.DialContext(t.Context(), s.url("/"), nil); err == nil {
			t.Errorf("a client with the certificate %s is let in", name)
		}
	}
}

func unixDialer(path string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
}

func TestUnixSocketIsServedInsteadOfThePort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	p := start(t, nil, nil, "echo", "--unix", path)
	if got, want := p.out.await(t, "\n"), "listening on unix:"+path+"  (http and ws)\n"; got != want {
		t.Errorf("ready line %q, want %q", got, want)
	}
	dial := unixDialer(path)
	wantEcho(t, dialBy(t, &websocket.Dialer{NetDialContext: dial}, "ws://localhost/"))
	get(t, &http.Transport{DialContext: dial}, "http://localhost/")
}

func TestUnixSocketIsServedBesideThePortThatIsGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := startEcho(t, "--unix", path)
	s.out.await(t, "listening on unix:"+path)
	wantEcho(t, s.dial(t, "/", nil))
	ws := dialBy(t, &websocket.Dialer{NetDialContext: unixDialer(path)}, "ws://localhost/")
	wantEcho(t, ws)
	_ = ws.Close()
	s.signal(t, syscall.SIGTERM)
	s.wait(t)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file of the socket is left: %v", err)
	}
}

func TestUnixPathThatCannotBeListenedOnIsOneLine(t *testing.T) {
	dir := t.TempDir()
	taken, file := filepath.Join(dir, "taken"), filepath.Join(dir, "file")
	nl, err := net.Listen("unix", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		taken:                    "is in use: stop what listens there, or choose another path with --unix",
		file:                     "exists and is not a socket: remove it, or choose another path with --unix",
		dir + "/missing/s":       "its folder does not exist: make it, or choose another path with --unix",
		strings.Repeat("x", 120): "is too long for a unix socket: choose a shorter path with --unix",
	} {
		got := command(t, "", nil, "echo", "--unix", path)
		code, lines := exitFailed, 1
		if len(path) == 120 { // of no use anywhere
			code, lines, want = exitUsage, 2, want+"\nRun 'fanloop echo --help' for usage."
		}
		if got.code != code || got.out != "" || !strings.HasPrefix(got.err, "fanloop: "+path) ||
			!strings.HasSuffix(got.err, want+"\n") || strings.Count(got.err, "\n") != lines {
			t.Errorf("%s: %+v, want %q", path, got, want)
		}
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "precious" {
		t.Errorf("the file that stood there is %q now, %v", content, err)
	}
}

// startPassed starts fanloop echo as systemd does, with files as its sockets.
func startPassed(t *testing.T, files ...*os.File) *process {
	t.Helper()
	p := &process{exited: make(chan struct{})}
	// Only the process itself knows its id, which LISTEN_PID has to be.
	p.cmd = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" echo --self-signed`, os.Args[0])
	p.cmd.Env = append(os.Environ(), asCommand+"=1", fmt.Sprintf("LISTEN_FDS=%d", len(files)))
	p.cmd.ExtraFiles = files
	p.run(t)
	return p
}

func TestSocketsOfSystemdAreServedInsteadOfThePort(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	var files [2]*os.File
	for i, nl := range []interface{ File() (*os.File, error) }{tcp.(*net.TCPListener), unix.(*net.UnixListener)} {
		if files[i], err = nl.File(); err != nil {
			t.Fatal(err)
		}
		defer files[i].Close()
	}
	_ = tcp.Close()
	p := startPassed(t, files[:]...)
	p.out.await(t, "certificate made for") // the last line
	want := fmt.Sprintf("listening on https://%[1]s/  wss://%[1]s/\nlistening on unix:%s  (https and wss)\n", tcp.Addr(), path)
	if got := p.out.String(); !strings.HasPrefix(got, want) {
		t.Errorf("ready lines %q, want %q", got, want)
	}
	config := &tls.Config{InsecureSkipVerify: true}
	for _, dialer := range []*websocket.Dialer{
		{TLSClientConfig: config},
		{TLSClientConfig: config, NetDialContext: unixDialer(path)},
	} {
		ws := dialBy(t, dialer, "wss://"+tcp.Addr().String()+"/")
		wantEcho(t, ws)
		_ = ws.Close()
	}
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status.ExitStatus() != exitOK {
		t.Errorf("exit status %d, stderr %s", status, &p.err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the file of a socket of systemd is gone: %v", err)
	}
}

func TestPassedDescriptorThatIsNoListenerIsOneLine(t *testing.T) {
	p := startPassed(t, silence(t))
	status := p.wait(t)
	if want := "fanloop: descriptor 3 of LISTEN_FDS is no stream socket that listens: "; status.ExitStatus() != exitFailed ||
		!strings.HasPrefix(p.err.String(), want) || strings.Count(p.err.String(), "\n") != 1 {
		t.Errorf("exit status %d, stderr %s", status, &p.err)
	}
}

func TestHeadersOfTrustedProxiesOnlyAreTaken(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	const header = "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"
	path := filepath.Join(t.TempDir(), "s")
	for _, k := range []struct{ trusted, network, sent, want string }{
		{"127.0.0.0/8", "tcp", header + request, "HTTP/1.1 200"},
		{"192.0.2.9,127.0.0.1", "tcp", header + request, "HTTP/1.1 200"},
		{"127.0.0.1", "tcp", request, ""}, // a proxy must send it
		{"192.0.2.0/24, unix", "tcp", header + request, "HTTP/1.1 400"},
		{"192.0.2.0/24, unix", "tcp", request, "HTTP/1.1 200"},
		{"192.0.2.0/24, unix", "unix", header + request, "HTTP/1.1 200"},
		{"127.0.0.1", "unix", header + request, "HTTP/1.1 400"},
	} {
		s := startEcho(t, "--unix", path, "--proxy-protocol", k.trusted)
		s.out.await(t, "listening on unix:")
		addr := map[string]string{"tcp": s.addr, "unix": path}[k.network]
		conn, err := net.Dial(k.network, addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, k.sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("HTTP/1.1 200"))
		n, _ := io.ReadFull(conn, got) // fails where the connection is dropped
		if string(got[:n]) != k.want {
			t.Errorf("--proxy-protocol %q, %.6q over %s: %q, want %q", k.trusted, k.sent, k.network, got[:n], k.want)
		}
		_ = conn.Close()
		s.signal(t, syscall.SIGTERM)
		s.wait(t)
	}
}
