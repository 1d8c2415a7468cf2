package service_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// payload starts a NATS server that takes so many bytes, and returns its URL.
func payload(t *testing.T, most int32) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: most})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("NATS is not ready")
	}
	return s.ClientURL()
}

// plainOf is a namespace without history.
func plainOf(c *config.Config) config.Namespace {
	plain := c.Namespaces[config.DefaultNamespace]
	plain.HistorySize, plain.HistoryAge = 0, 0
	return plain
}

// A node whose clients may send more than NATS takes does not start, and says which setting
// it is: a publish would fail, and a POST to another node.
func TestLimitsOverThoseOfNATSAreRefused(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"of this process": func(c *config.Config) { c.Limits.Message, c.Limits.Data = 1<<20, 64<<10 },
		"elsewhere":       func(c *config.Config) { c.NATS = payload(t, 64<<10) },
	} {
		c := config.Default()
		c.Listen, c.DataDir = "127.0.0.1:0", t.TempDir()
		change(&c)
		s, err := service.Start(t.Context(), c, slog.New(slog.DiscardHandler))
		if err == nil {
			_ = s.Shutdown(context.Background())
		}
		if err == nil || !strings.HasPrefix(err.Error(), "limits.message: ") || !strings.Contains(err.Error(), "max_payload") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is as large as the largest limits allow is stored and relayed, and a POST to another
// node goes on to that of its stream, with the longest names.
func TestWhatLimitsAllowFitsIntoNATS(t *testing.T) {
	url := payload(t, 64<<10+4<<10)
	shared := func(c *config.Config) {
		c.NATS = url
		c.Limits.Data = c.Limits.Message - 512
		c.Namespaces["plain"] = plainOf(c)
	}
	first, ctx := start(t, shared)
	second, _ := start(t, shared)
	user := strings.Repeat("ü", 64)
	data := protocol.Data(`"` + strings.Repeat("x", first.Limits().Data-2) + `"`)
	for _, topic := range []string{strings.Repeat(`"`, 255), "plain:" + strings.Repeat(`"`, 249)} {
		p := &protocol.Publish{Topic: topic, ID: strings.Repeat("i", 64), Kind: strings.Repeat("k", 64), Data: data}
		if _, err := first.Publish(ctx, user, user, p); err != nil {
			t.Errorf("%.10s: %v", topic, err)
		}
	}
	stream := openStream(t, ctx, first, &protocol.Connect{Version: 1, User: "ann"})
	until[*protocol.Connected](stream)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+second.Addr()+"/v1/commands",
		bytes.NewReader(append([]byte(`{"type":"ping","ref":1}`), bytes.Repeat([]byte("\n"), first.Limits().Message-23)...)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Fanloop-Session": {stream.session}, "Fanloop-Seq": {"1"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusNoContent {
		t.Error(resp.Status)
	}
	until[*protocol.Pong](stream)
}
