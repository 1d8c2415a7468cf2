package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
)

func TestEchoSendsTextAndBinaryBackOnEveryPath(t *testing.T) {
	s := startEcho(t)
	for _, path := range []string{"/", "/any/path?with=query", "/console.css"} {
		ws := s.dial(t, path, nil)
		for _, kind := range []int{websocket.TextMessage, websocket.BinaryMessage} {
			for _, size := range []int{0, 1, 125, 126, 65536, 1 << 20} {
				sent := bytes.Repeat([]byte("a"), size)
				if err := ws.WriteMessage(kind, sent); err != nil {
					t.Fatal(err)
				}
				gotKind, got, err := ws.ReadMessage()
				if err != nil || gotKind != kind || !bytes.Equal(got, sent) {
					t.Fatalf("%s, %d bytes of kind %d: kind %d, %d bytes, %v", path, size, kind, gotKind, len(got), err)
				}
			}
		}
	}
}

func TestPageIsServedBesideTheEcho(t *testing.T) {
	s := startEcho(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/": 200, "/console.js": 200, "/missing": 404} {
		resp, err := client.Get("http://" + s.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != want || len(body) == 0 {
			t.Errorf("GET %s: %d, %d bytes, %v; want %d", path, resp.StatusCode, len(body), err, want)
		}
	}
}

func TestMessageOverTheLimitIsRefused(t *testing.T) {
	s := startEcho(t, "--max-message", "1KiB")
	ws := s.dial(t, "/", nil)
	if err := ws.WriteMessage(websocket.BinaryMessage, make([]byte, 1025)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("1025 bytes: %v, want 1009", err)
	}
	unlimited := startEcho(t, "--max-message", "0").dial(t, "/", nil)
	const size = 3 << 20
	if err := unlimited.WriteMessage(websocket.BinaryMessage, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := unlimited.ReadMessage(); err != nil || len(got) != size {
		t.Errorf("without a limit: %d bytes, %v", len(got), err)
	}
}

func TestConnectionsOverTheLimitAreRefused(t *testing.T) {
	s := startEcho(t, "--max-connections", "1")
	s.dial(t, "/", nil)
	_, resp, err := websocket.DefaultDialer.DialContext(t.Context(), s.url("/"), nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the second connection: %v, %v; want 503", resp, err)
	}
}

func TestOriginIsTheOwnHostAndThoseListed(t *testing.T) { // H08
	for _, k := range []struct {
		flags  []string
		origin string
		want   bool
	}{
		{nil, "", true},
		{nil, "http://{addr}", true},
		{nil, "https://example.com", false},
		{[]string{"--origin", "https://example.com"}, "https://example.com", true},
		{[]string{"--origin", "https://example.com"}, "http://{addr}", true},
		{[]string{"--origin", "https://example.com"}, "https://example.org", false},
		{[]string{"--origin", "https://example.com", "--origin", "https://example.org"}, "https://example.org", true},
		{[]string{"--origin", "*"}, "null", true},
	} {
		s := startEcho(t, k.flags...)
		header := http.Header{}
		if k.origin != "" {
			header.Set("Origin", strings.ReplaceAll(k.origin, "{addr}", s.addr))
		}
		ws, resp, err := websocket.DefaultDialer.DialContext(t.Context(), s.url("/"), header)
		if err == nil {
			_ = ws.Close()
		}
		if (err == nil) != k.want || !k.want && resp.StatusCode != http.StatusForbidden {
			t.Errorf("%q, origin %q: %v, want accepted: %v", k.flags, k.origin, err, k.want)
		}
	}
}

func TestSubprotocolIsTheServersFirstThatTheClientOffers(t *testing.T) {
	s := startEcho(t, "--subprotocol", "v2", "--subprotocol", "v1")
	for offer, want := range map[string]string{"v1, v2": "v2", "v0, v1": "v1", "v0": ""} {
		ws := s.dial(t, "/", http.Header{"Sec-Websocket-Protocol": {offer}})
		if got := ws.Subprotocol(); got != want {
			t.Errorf("%q was offered: %q, want %q", offer, got, want)
		}
	}
}

func TestPprofHasItsOwnListener(t *testing.T) {
	s := startEcho(t, "--pprof", "127.0.0.1:0")
	log := s.err.await(t, "serving profiles")
	url := regexp.MustCompile(`url=(\S+)`).FindStringSubmatch(log)[1]
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url + "goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !bytes.Contains(body, []byte("goroutine profile:")) {
		t.Errorf("%s: %.100q, %v", url, body, err)
	}
	if resp, err = client.Get("http://" + s.addr + "/debug/pprof/"); err != nil || resp.StatusCode != 404 {
		t.Errorf("profiles on the port of the echo: %v, %v; want 404", resp, err)
	}
	_ = resp.Body.Close()
}

func TestUsr1LogsWhatIsInUseAndGoesOn(t *testing.T) {
	s := startEcho(t)
	ws := s.dial(t, "/", nil)
	s.signal(t, syscall.SIGUSR1)
	log := s.err.await(t, "memory in use")
	want := `level=INFO msg="memory in use" connections=1 heap_bytes=[1-9]\d*`
	if _, err := os.Stat("/proc/self/statm"); err == nil {
		want += ` rss_bytes=[1-9]\d*`
	}
	if !regexp.MustCompile(want + ` ledger_bytes=[1-9]\d* takeover_bytes=0 goroutines=[1-9]`).MatchString(log) {
		t.Errorf("logged: %s", log)
	}
	if err := ws.WriteMessage(websocket.TextMessage, []byte("still there")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := ws.ReadMessage(); err != nil || string(got) != "still there" {
		t.Errorf("after the signal: %q, %v", got, err)
	}
}

func TestSignalClosesConnectionsInOrder(t *testing.T) { // L01
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		s := startEcho(t)
		ws := s.dial(t, "/", nil)
		s.signal(t, sig)
		if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("%v: %v, want 1001", sig, err)
		}
		_ = ws.Close() // the server waits for the end of TCP
		if status := s.wait(t); status.ExitStatus() != 0 {
			t.Errorf("%v: exit status %d, stderr %s", sig, status, &s.err)
		}
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) { // L02
	s := startEcho(t, "--shutdown-timeout", "1h")
	stuck := s.dial(t, "/", nil).NetConn()
	s.signal(t, syscall.SIGTERM)
	frame := make([]byte, 2)
	if _, err := io.ReadFull(stuck, frame); err != nil || frame[0] != 0x88 { // a close frame, never answered
		t.Fatalf("%x, %v; want a close frame", frame, err)
	}
	s.signalUntilExit(t, syscall.SIGTERM)
	if status := s.wait(t); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %#x, want by the signal; stderr %s", status, &s.err)
	}
}

func TestStuckClientDoesNotHoldTheShutdown(t *testing.T) { // L03
	s := startEcho(t, "--shutdown-timeout", "50ms")
	s.dial(t, "/", nil)
	s.signal(t, syscall.SIGTERM)
	status := s.wait(t)
	if log := s.err.String(); status.ExitStatus() != 0 || !strings.Contains(log, "dropped 1 connection:") {
		t.Errorf("exit status %d, stderr %s", status, log)
	}
}

// Status 2 is for what no machine could listen on.
func TestAddressThatCannotBeListenedOnIsOneLine(t *testing.T) {
	s := startEcho(t)
	const wrong = "\nRun 'fanloop echo --help' for usage."
	for _, k := range []struct {
		addr string
		code int
		want string
	}{
		{s.addr, exitFailed, s.addr + " is in use: stop what listens there, or choose another port with --addr"},
		{"192.0.2.1:9001", exitFailed, "192.0.2.1:9001 is not an address of this machine: choose one that is, or :port for all, with --addr"},
		{"localhost", exitUsage, `"localhost" is not an address (missing port in address): give --addr as host:port, for instance 127.0.0.1:9001` + wrong},
		{"127.0.0.1:70000", exitUsage, `"127.0.0.1:70000" is not an address (unknown port): give --addr as host:port, for instance 127.0.0.1:9001` + wrong},
		{"127.0.0.1:nosuch", exitUsage, `"127.0.0.1:nosuch" is not an address (unknown port): give --addr as host:port, for instance 127.0.0.1:9001` + wrong},
	} {
		for _, loops := range []string{"1", "2"} {
			got := command(t, "", nil, "echo", "--addr", k.addr, "--loops", loops)
			if want := (result{k.code, "", "fanloop: " + k.want + "\n"}); got != want {
				t.Errorf("%s, %s loops: %+v, want %+v", k.addr, loops, got, want)
			}
		}
	}
	got := command(t, "", nil, "echo", "--addr", "127.0.0.1:0", "--pprof", s.addr)
	want := result{exitFailed, "", "fanloop: " + s.addr + " is in use: stop what listens there, or choose another port with --pprof\n"}
	if got != want {
		t.Errorf("--pprof: %+v, want %+v", got, want)
	}
}

func TestQuietEchoWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	p := start(t, nil, nil, "echo", "--quiet", "--unix", path)
	eventually(t, "the server listens", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status.ExitStatus() != 0 || p.out.String()+p.err.String() != "" {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, &p.out, &p.err)
	}
}
