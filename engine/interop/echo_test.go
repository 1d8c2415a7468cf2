package interop

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

func TestGorillaEchoesOverTLS(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	addr := listenTLS(t, &engine.Server{Callbacks: echo}, id)
	for name, version := range testkit.TLSVersions {
		t.Run(name, func(t *testing.T) {
			config := id.Client()
			config.MaxVersion = version
			conn, resp, err := (&gorilla.Dialer{TLSClientConfig: config}).Dial("wss://"+addr+"/chat", nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			defer conn.Close()
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			for _, size := range []int{0, 1, 125, 126, 16 << 10, 16<<10 + 1, 100_000, 1 << 20} {
				want := pattern(size)
				if err := conn.WriteMessage(gorilla.BinaryMessage, want); err != nil {
					t.Fatal(err)
				}
				if _, got, err := conn.ReadMessage(); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d of %d bytes came back, %v", len(got), size, err)
				}
			}
		})
	}
}

func TestCoderEchoesOverTLS(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	addr := listenTLS(t, &engine.Server{Callbacks: echo}, id)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	transport := &http.Transport{TLSClientConfig: id.Client()}
	defer transport.CloseIdleConnections()
	conn, _, err := websocket.Dial(ctx, "wss://"+addr+"/chat", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for range 100 {
		if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(ctx); err != nil || string(got) != "hello" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

func TestServerPingsAndGorillaAnswers(t *testing.T) {
	ponged := make(chan string, 1)
	addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) { _ = ws.Ping(text) },
		OnPong: func(_ *engine.WebSocket, p []byte) { ponged <- string(p) },
	}})
	conn, resp, err := gorilla.DefaultDialer.Dial("ws://"+addr+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if err := conn.WriteMessage(1, []byte("and you?")); err != nil {
		t.Fatal(err)
	}
	go func() { _, _, _ = conn.ReadMessage() }() // answers pings
	if got := within(t, "OnPong", ponged); got != "and you?" {
		t.Errorf("OnPong got %q", got)
	}
}
