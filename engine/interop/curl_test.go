package interop

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

const curlInstall = "apt-get install curl"

// curl makes a command that ends with the test.
func curl(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path := program(t, curlInstall, "curl")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, path, append([]string{"--disable", "--noproxy", "*", "-sS", "-N"}, args...)...)
}

// Without a Server.HTTP, who comes by HTTP is told what is spoken here.
func TestInteropCurlIsToldToUpgrade(t *testing.T) {
	addr := listen(t, new(engine.Server))
	out, err := curl(t, "-i", "http://"+addr+"/").Output()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(out))), nil)
	if err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusUpgradeRequired || resp.Header.Get("Upgrade") != "websocket" ||
		!strings.Contains(string(body), "WebSocket") || err != nil {
		t.Errorf("got %q (%v), want 426 that asks for a WebSocket", out, err)
	}
}

// curl without WebSocket still shows the answer and the frames of a server.
func TestInteropCurlUpgradesByHand(t *testing.T) {
	addr := listen(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		_ = ws.SendText(unicodeText)
	}})
	cmd := curl(t, "-i", "--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
		"-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "http://"+addr+"/")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it would wait for the end of the connection
		_ = cmd.Wait()
	}()
	wantGreeting(t, stdout, unicodeText)
}

// Over TLS, over a unix socket and as a proxy, curl gets the page and the
// upgrade.
func TestInteropCurlByEveryWay(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{
		HTTP: http.HandlerFunc(page),
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			_ = ws.SendText(unicodeText)
		},
	}
	path := socketPath(t)
	listenWith(t, srv, "unix:"+path, engine.ListenOptions{})
	wss := listenTLS(t, srv, id)
	proxies := &engine.ProxyProtocol{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	behind := listenWith(t, srv, "127.0.0.1:0", engine.ListenOptions{ProxyProtocol: proxies})
	wssBehind := listenWith(t, srv, "127.0.0.1:0", engine.ListenOptions{ProxyProtocol: proxies, TLS: id.Server()})
	for name, args := range map[string][]string{
		"TLS":         {"-k", "https://" + wss + "/page"},
		"TLS 1.2":     {"-k", "--tls-max", "1.2", "https://" + wss + "/page"},
		"unix socket": {"--unix-socket", path, "http://local/page"},
		"proxy":       {"--haproxy-protocol", "http://" + behind + "/page"},
		"TLS, proxy":  {"-k", "--haproxy-protocol", "https://" + wssBehind + "/page"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := curl(t, args...).CombinedOutput(); err != nil || string(out) != `GET /page ""` {
				t.Errorf("curl printed %q, %v", out, err)
			}
			cmd := curl(t, append([]string{"-i", "--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
				"-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, args...)...)
			stdout, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Kill() // it would wait for the end of the connection
				_ = cmd.Wait()
			}()
			wantGreeting(t, stdout, unicodeText)
		})
	}
}

// curl with WebSocket prints what it receives. It can neither send nor answer
// a close frame, so the test ends it.
func TestInteropCurlSpeaksWebSocket(t *testing.T) {
	version, err := curl(t, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(version)), "ws") {
		t.Skip("this curl was built without ws, which is on by default from 8.11: ", strings.SplitN(string(version), "\n", 2)[0])
	}
	ends := make(chan int, 1)
	addr := listen(t, &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		ws.OnClose(func(_ *engine.WebSocket, code engine.StatusCode, _ string) { ends <- int(code) })
		_ = sendThirds(ws, engine.Text, []byte(unicodeText))
	}})
	cmd := curl(t, "ws://"+addr+"/")
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(unicodeText))
	_, err = io.ReadFull(stdout, got)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil || string(got) != unicodeText {
		t.Errorf("curl printed %q (%v), want %q", got, err, unicodeText)
	}
	if got := within(t, "OnClose", ends); got != 1006 {
		t.Errorf("OnClose was told %d, want 1006", got)
	}
}
