package admin_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/admin"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/metrics"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// withoutHistory has a namespace brief, whose messages are not stored.
func withoutHistory(c *config.Config) {
	brief := c.Namespaces[config.DefaultNamespace]
	brief.HistorySize, brief.HistoryAge = 0, 0
	c.Namespaces["brief"] = brief
}

// What a backend publishes in a topic without history comes to users, and its answer has no
// position: with an idempotency key, and in a broadcast, too.
func TestBackendPublishesWithoutHistory(t *testing.T) {
	s, ctx := start(t, withoutHistory)
	client, _ := apiOf(t, s)
	ann := enter(t, ctx, s, "ann", "brief:news")
	say := api.Publish{Topic: "brief:news", User: "shop", Data: protocol.Data(`1`)}
	for _, key := range []string{"", "k", "k"} {
		if p, err := client.Publish(ctx, key, say); err != nil || p.ID == "" || p.Pos != (protocol.Position{}) {
			t.Errorf("key %q: %+v, %v", key, p, err)
		}
	}
	if m := ann.message(); m.Offset != 0 || string(m.Data) != "1" {
		t.Errorf("%+v", m)
	}
	all, err := client.Broadcast(ctx, "", api.Broadcast{Topics: []string{"brief:news", "orders"}, User: "shop", Data: protocol.Data(`2`)})
	if err != nil || len(all.Results) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for i, stored := range []bool{false, true} {
		r := all.Results[i]
		if r.Problem != nil || r.Published == nil || (r.Published.Pos != protocol.Position{}) != stored {
			t.Errorf("%+v", r)
		}
	}
}

// Each call about a topic without history is answered, and none by 500. The position that
// there is not is left out.
func TestEveryCallOfATopicWithoutHistory(t *testing.T) {
	s, _ := start(t, withoutHistory)
	_, h := apiOf(t, s)
	for path, body := range bodies {
		got := post(h, path, strings.ReplaceAll(body, `"t"`, `"brief:t"`), map[string]string{"Authorization": "Bearer " + callerKey})
		want := 200
		if path == "/v1/history" {
			want = 409
		}
		if got.Code != want || strings.Contains(got.Body.String(), `"epoch":""`) {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
		isProblem(t, got)
	}
}

// panickingNode panics when something is published in the topic wrong.
type panickingNode struct{ *service.Service }

func (n panickingNode) Publish(ctx context.Context, user, name string, c *protocol.Publish) (*protocol.Published, error) {
	if c.Topic == "wrong" {
		panic("a fault of the program")
	}
	return n.Service.Publish(ctx, user, name, c)
}

// A call that panics is answered by 500 and logged with its stack, and the node goes on: also
// where the call has goroutines of its own, and with an idempotency key.
func TestPanicEndsOneCall(t *testing.T) {
	s, _ := start(t, nil)
	var log bytes.Buffer
	h := admin.New(admin.Config{
		Node: panickingNode{s}, Metrics: metrics.Registry(s), Callers: callersOf(t, config.Default()),
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for _, c := range []struct {
		name, path, body, key string
		status                int
	}{
		{"a call", "/v1/publish", `{"topic":"wrong","user":"u","data":1}`, "", 500},
		{"a call with a key", "/v1/publish", `{"topic":"wrong","user":"u","data":1}`, "k", 500},
		{"a broadcast", "/v1/broadcast", `{"topics":["right","wrong"],"user":"u","data":1}`, "", 200},
		{"a broadcast with a key", "/v1/broadcast", `{"topics":["right","wrong"],"user":"u","data":1}`, "k", 200},
	} {
		header := map[string]string{"Authorization": "Bearer " + callerKey}
		if c.key != "" {
			header["Idempotency-Key"] = c.key
		}
		got := post(h, c.path, c.body, header)
		if got.Code != c.status || strings.Count(got.Body.String(), `"code":"internal"`) != 1 {
			t.Errorf("%s: %d %s", c.name, got.Code, got.Body)
		}
		if c.status == 200 && !strings.Contains(got.Body.String(), `{"topic":"right","published"`) {
			t.Errorf("%s: the other topic: %s", c.name, got.Body)
		}
		isProblem(t, got)
	}
	h.Wait()
	if text := log.String(); !strings.Contains(text, "a fault of the program") || !strings.Contains(text, "panickingNode.Publish") || !strings.Contains(text, "call=/v1/publish") {
		t.Errorf("the log has no panic with its stack: %s", text)
	}
}
