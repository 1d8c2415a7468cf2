package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/admin"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/metrics"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// A call of the server API is a span below that of its caller. A hook is a span whose
// traceparent the backend gets. Neither has a token or a text.
func TestCallsAndHooksAreSpans(t *testing.T) {
	var mu sync.Mutex
	var spans strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		spans.Write(body)
	}))
	defer collector.Close()
	parents := make(chan string, 8)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parents <- r.Header.Get("Traceparent")
		_ = json.NewEncoder(w).Encode(map[string]any{"allow": true, "user": "ann"})
	}))
	defer backend.Close()
	const text = "a-text-of-a-message"
	t.Run("node", func(t *testing.T) { // all spans are sent when it ends
		s, ctx := start(t, func(c *config.Config) {
			c.Traces.URL = collector.URL
			c.Hooks.Connect = &config.Hook{URL: backend.URL, Secrets: []config.Secret{config.NewSecret(operatorKey)}}
		})
		h := admin.New(admin.Config{Node: s, Metrics: metrics.Registry(s), Callers: callersOf(t, config.Default()), Log: logger, Tracer: s.Tracer()})
		enterAs(t, ctx, s, &protocol.Connect{Ref: 1, Version: protocol.Version, Token: text})
		for path, body := range map[string]string{"/v1/publish": `{"topic":"t","user":"u","data":"` + text + `"}`, "/v1/topic": `{"topic":""}`} {
			post(h, path, body, map[string]string{"Authorization": "Bearer " + callerKey, "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
		}
	})
	hook := strings.Split(<-parents, "-")
	if len(hook) != 4 || len(hook[1]) != 32 || hook[3] != "01" {
		t.Fatalf("the backend got the traceparent %q", hook)
	}
	mu.Lock()
	defer mu.Unlock()
	all := spans.String()
	for _, want := range []string{
		`"traceId":"` + hook[1] + `","spanId":"` + hook[2] + `","name":"hook connect","kind":3`, `{"key":"fanloop.outcome","value":{"stringValue":"allowed"}}`,
		`"traceId":"0af7651916cd43dd8448eb211c80319c"`, `"parentSpanId":"b7ad6b7169203331","name":"POST /v1/publish","kind":2`,
		`{"key":"fanloop.caller","value":{"stringValue":"shop"}}`, `{"key":"http.response.status_code","value":{"intValue":"400"}}`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
	if strings.Contains(all, text) || strings.Contains(all, callerKey) {
		t.Errorf("content is in spans:\n%s", all)
	}
}
