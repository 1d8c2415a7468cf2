package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Each line of --json is one event, in the order of the connection.
func TestDialWritesEventsAsJSON(t *testing.T) {
	url := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		_ = ws.WriteMessage(websocket.TextMessage, []byte("two\nlines \x1b"))
		_ = ws.WriteMessage(websocket.BinaryMessage, []byte{0, 255})
		_ = ws.WriteMessage(websocket.TextMessage, nil)
		_ = ws.WriteControl(websocket.PingMessage, []byte("p"), time.Now().Add(patience))
		_ = ws.WriteControl(websocket.PongMessage, nil, time.Now().Add(patience))
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1008, "enough"), time.Now().Add(patience))
		_, _, _ = ws.ReadMessage() // the answer
	})
	p := start(t, silence(t), nil, "dial", url, "--json", "-s", "chat")
	if status := p.wait(t); status.ExitStatus() != exitClosed || p.err.String() != "" {
		t.Errorf("exit status %d, stderr %q", status.ExitStatus(), &p.err)
	}
	want := []map[string]any{
		{"event": "open", "url": url, "subprotocol": "chat"},
		{"event": "message", "type": "text", "data": "two\nlines \x1b"},
		{"event": "message", "type": "binary", "base64": "AP8="},
		{"event": "message", "type": "text", "data": ""},
		{"event": "ping", "base64": "cA=="},
		{"event": "pong", "base64": ""},
		{"event": "close", "code": 1008.0, "reason": "enough"},
	}
	lines := strings.Split(strings.TrimSuffix(p.out.String(), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), &p.out)
	}
	for i, line := range lines {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for key, value := range want[i] {
			if got[key] != value {
				t.Errorf("%s: %q is %v, want %v", line, key, got[key], value)
			}
		}
		at, _ := got["time"].(string)
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if headers, _ := got["headers"].(map[string]any); (got["event"] == "open") != (headers["Sec-Websocket-Accept"] != nil) {
			t.Errorf("%s: headers %v", line, headers)
		}
	}
}

func TestDialWritesALostConnectionAsJSON(t *testing.T) {
	url := peer(t, func(*websocket.Conn, *http.Request) {})
	p := start(t, silence(t), nil, "dial", url, "--json")
	status := p.wait(t)
	_, last, _ := strings.Cut(p.out.String(), "\n")
	if status.ExitStatus() != exitClosed || !strings.Contains(last, `"event":"close"`) || !strings.Contains(last, `"code":1006,"error":"engine: `) {
		t.Errorf("exit status %d, %s", status.ExitStatus(), &p.out)
	}
}

// Messages count for --count, other events do not.
func TestJSONCountsMessagesOnly(t *testing.T) {
	s := startEcho(t)
	got := command(t, "hello\n", nil, "dial", s.url("/"), "--json", "-n", "1")
	if got.code != exitOK || strings.Count(got.out, "\n") != 3 || !strings.Contains(got.out, `"data":"hello"`) {
		t.Errorf("%+v", got)
	}
}

func TestVerboseDialTellsTheAnswerAndWhatWasDeclined(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := new(websocket.Upgrader).Upgrade(w, r, http.Header{"X-Node": {"seven \x9b31m"}})
		if err != nil {
			t.Error(err)
			return
		}
		_, _, _ = ws.ReadMessage() // the close
		_ = ws.Close()
	}))
	defer srv.Close()
	got := command(t, "", nil, "dial", srv.URL, "-v", "-w", "0", "-s", "v2,v1", "--compression", "on")
	for _, want := range []string{
		"\n  declined: subprotocol v2, subprotocol v1, permessage-deflate\n",
		"\n  answer: 101 Switching Protocols\n", "\n    X-Node: seven ", "\n    Upgrade: websocket\n",
	} {
		if got.code != exitOK || !strings.Contains(got.err, want) {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	s := startEcho(t, "-s", "v1", "--compression", "on")
	got = command(t, "", nil, "dial", s.url("/"), "-v", "-w", "0", "-s", "v2,v1", "--compression", "on")
	if got.code != exitOK || strings.Contains(got.err, "declined") {
		t.Errorf("nothing was declined: %+v", got)
	}
}
