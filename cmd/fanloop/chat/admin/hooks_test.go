package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/admin"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// X38: the operator sees in a line for each hook, and in metrics, what became of its
// questions, how long answers took, and that the circuit is open.
func TestOperatorSeesHooks(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Token string }
		_ = json.NewDecoder(r.Body).Decode(&q) // an empty token is refused below
		switch q.Token {
		case "500":
			w.WriteHeader(http.StatusInternalServerError)
		case "RST":
			panic(http.ErrAbortHandler)
		case "10 MB":
			_, _ = io.WriteString(w, strings.Repeat("x", 10<<20))
		case "redirect":
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"allow": q.Token == "good", "user": "ann"})
		}
	}))
	defer backend.Close()
	s, ctx := start(t, func(c *config.Config) {
		c.Hooks.Connect = &config.Hook{
			URL: backend.URL, Secrets: []config.Secret{config.NewSecret(operatorKey)}, Failures: 4, Open: time.Hour, Timeout: time.Minute,
		}
	})
	h := handlerOf(s, "")
	for _, token := range []string{"good", "bad", "500", "RST", "10 MB", "redirect", "good"} { // the last one is not asked
		ws, err := pull.Dial(ctx, "ws://"+s.Addr()+"/v1/socket", nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := protocol.JSON.AppendCommand(nil, &protocol.Connect{Ref: 1, Version: protocol.Version, Token: token})
		if err == nil {
			err = ws.Write(ctx, engine.Text, text)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ws.Read(ctx); err != nil {
			t.Error(err)
		}
		ws.CloseNow()
		<-ws.WebSocket().Done()
	}
	var state admin.State
	if err := json.Unmarshal(ask(h, "POST", "/admin/state", nil).Body.Bytes(), &state); err != nil {
		t.Fatal(err)
	}
	want := admin.Hook{Kind: "connect", State: "open", Allowed: 1, Refused: 1, Errors: 4, Skipped: 1, Answered: 2}
	if len(state.Hooks) != 1 {
		t.Fatalf("%+v", state.Hooks)
	}
	got := state.Hooks[0]
	if seconds := got.Seconds; seconds <= 0 {
		t.Errorf("answers took %v s", seconds)
	}
	if got.Seconds = 0; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	shown := ask(h, "GET", "/metrics", nil).Body.String()
	for _, line := range []string{
		`fanloop_chat_hook_questions_total{hook="connect",outcome="allowed"} 1`, `fanloop_chat_hook_questions_total{hook="connect",outcome="open"} 1`,
		`fanloop_chat_hook_questions_total{hook="connect",outcome="status"} 2`, `fanloop_chat_hook_questions_total{hook="connect",outcome="connection"} 1`,
		`fanloop_chat_hook_questions_total{hook="connect",outcome="body"} 1`, `fanloop_chat_hook_questions_total{hook="connect",outcome="timeout"} 0`,
		`fanloop_chat_hook_circuit_open{hook="connect"} 1`, `fanloop_chat_hook_seconds_count{hook="connect"} 2`,
	} {
		if !strings.Contains(shown, "\n"+line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}
