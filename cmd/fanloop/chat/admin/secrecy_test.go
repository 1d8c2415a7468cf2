package admin_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/admin"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/metrics"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// logbook keeps what is logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// X50: no text of a message, no token and no key is in the log at its lowest level, nor
// in metrics, whatever a client or a backend does.
func TestLogsAndMetricsHaveNoContent(t *testing.T) {
	log := new(logbook)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := config.Default()
	c.Listen, c.DataDir = "127.0.0.1:0", t.TempDir()
	book := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := service.Start(ctx, c, book)
	if err != nil {
		t.Fatal(err)
	}
	h := admin.New(admin.Config{Node: s, Metrics: metrics.Registry(s), OperatorKey: operatorKey, Callers: callersOf(t, c), Log: book})
	const text, user, topic = "a-text-of-a-message", "a-name-of-a-user", "a-name-of-a-topic"
	ann := enter(t, ctx, s, user, topic)
	ann.send(&protocol.Publish{Ref: 9, Topic: topic, ID: "x", Data: protocol.Data(`"` + text + `"`)})
	await[*protocol.Published](ann)
	for _, message := range []string{
		`{"type":"connect","ref":1,"version":1,"token":"` + text + `"}`,
		`{"type":"` + text + `"}`, `{"` + text, text,
		`{"type":"connect","version":1,"user":"` + text + `\u0000"}`,
	} {
		ws, err := pull.Dial(ctx, "ws://"+s.Addr()+"/v1/socket", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = ws.Write(ctx, engine.Text, []byte(message))
		_, _, _ = ws.Read(ctx) // whatever it is
		ws.CloseNow()
		<-ws.WebSocket().Done()
	}
	if _, err := pull.Dial(ctx, "ws://"+s.Addr()+"/v1/socket", &engine.DialOptions{Origin: "https://evil.example"}); err == nil {
		t.Error("a page of another origin connects") // being refused is logged
	}
	for path, body := range bodies {
		for _, key := range []string{callerKey, text} {
			post(h, path, body, map[string]string{"Authorization": "Bearer " + key})
			post(h, path, strings.ReplaceAll(body, `"u"`, `"`+text+`"`), map[string]string{"Authorization": "Bearer " + key, "Idempotency-Key": text})
			post(h, path, text, map[string]string{"Authorization": "Bearer " + key})
		}
	}
	shown := ask(h, "GET", "/metrics", with("Authorization", "Bearer "+operatorKey)).Body.String()
	h.Wait()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if !strings.Contains(shown, "fanloop_chat_sessions") || log.String() == "" {
		t.Error("nothing was logged, or counted")
	}
	for _, secret := range []string{text, user, topic, callerKey, operatorKey} {
		if i := strings.Index(log.String(), secret); i >= 0 {
			t.Errorf("the log has %q: ...%s", secret, log.String()[max(0, i-300):i+20])
		}
	}
	for _, secret := range []string{text, user, topic, "shop", callerKey, operatorKey} {
		if strings.Contains(shown, secret) {
			t.Errorf("the metrics have %q", secret)
		}
	}
}

// X50: with a backend that fails in each way, the log says that it does and why, and has
// nothing of who asked, of the token or of the text. A flood of it is few lines.
func TestLogsOfHooksHaveNoContent(t *testing.T) {
	const text, user = "a-text-of-a-message", "a-name-of-a-user"
	var answers atomic.Int64
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := answers.Add(1); {
		case r.Header.Get("Fanloop-Hook") == "connect":
			_, _ = io.WriteString(w, `{"allow":true,"user":"`+user+`"}`)
		case n%4 == 0:
			w.WriteHeader(http.StatusInternalServerError)
		case n%4 == 1:
			panic(http.ErrAbortHandler) // RST
		case n%4 == 2:
			_, _ = io.WriteString(w, `{"allow":"`+text+`"}`)
		default:
			_, _ = io.WriteString(w, `{"allow":true,"data":"`+strings.Repeat(text, 2000)+`"}`)
		}
	}))
	defer backend.Close()
	log := new(logbook)
	c := config.Default()
	c.Listen, c.DataDir = "127.0.0.1:0", t.TempDir()
	c.Limits.User.Commands, c.Limits.Address.Commands = config.Rate{}, config.Rate{}
	connect := config.Hook{URL: backend.URL + "/?" + text, Secrets: []config.Secret{config.NewSecret(operatorKey)}, Failures: 1 << 20}
	publish := connect
	c.Hooks.Connect, c.Hooks.Publish = &connect, &publish
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := service.Start(ctx, c, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	ann := enterAs(t, ctx, s, &protocol.Connect{Ref: 1, Version: protocol.Version, Token: text}, "lobby")
	asked, began := 0, time.Now()
	for ; asked < 200 || !strings.Contains(log.String(), "suppressed="); asked++ { // a line comes after a second
		i := asked
		ann.send(&protocol.Publish{Ref: protocol.Ref(100 + i), Topic: "lobby", ID: fmt.Sprint("x", i), Data: protocol.Data(`"` + text + `"`)})
		await[*protocol.Error](ann)
	}
	seconds := int(time.Since(began).Seconds()) + 2
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "has no answer"); n == 0 || n > seconds || n >= asked {
		t.Errorf("%d lines of a backend without answers in %d s", n, seconds)
	}
	if !strings.Contains(log.String(), "hook=publish") {
		t.Errorf("the log does not say what happens:\n%s", log)
	}
	for _, secret := range []string{text, user, operatorKey, "lobby"} {
		if i := strings.Index(log.String(), secret); i >= 0 {
			t.Errorf("the log has %q: ...%s", secret, log.String()[max(0, i-300):i+20])
		}
	}
}
