package service_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// two runs two nodes that share a store.
func two(t *testing.T, change func(*config.Config)) (first, second *service.Service, ctx context.Context) {
	t.Helper()
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	shared := func(c *config.Config) {
		c.NATS = server.URL()
		if change != nil {
			change(c)
		}
	}
	first, ctx = start(t, shared)
	second, _ = start(t, shared)
	return first, second, ctx
}

// X37: a user who is revoked on one node is closed on all, by WebSocket and by stream,
// with a code that stops retries, and gets in nowhere.
func TestRevocationClosesEverywhere(t *testing.T) {
	first, second, ctx := two(t, withAccounts)
	ann := token(t, time.Hour, jwt.MapClaims{"sub": "ann"})
	socket := enter(t, ctx, first, ann)
	other := openStream(t, ctx, second, &protocol.Connect{Ref: 1, Version: 1, Token: ann})
	until[*protocol.Connected](other)
	if err := first.Revoke(ctx, revoke.Revocation{Kind: revoke.User, Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	socket.closes(protocol.Revoked)
	if got := until[*protocol.Closing](other); got.Code != protocol.Revoked || got.Retry != protocol.Never {
		t.Errorf("%+v", got)
	}
	for _, s := range []*service.Service{first, second} {
		again := dial(t, ctx, s, protocol.JSON)
		again.send(&protocol.Connect{Ref: 1, Version: 1, Token: ann})
		if got := again.failure(); got.Code != protocol.Revoked {
			t.Errorf("%+v", got)
		}
	}
}

// Any node takes the POSTs of a stream, in one order, each once.
func TestPostToAnotherNode(t *testing.T) {
	first, second, ctx := two(t, nil)
	here := openStream(t, ctx, first, &protocol.Connect{Ref: 1, Version: 1, User: "ann"}, &protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1})
	until[*protocol.Subscribed](here)
	bases := []string{"http://" + second.Addr(), "http://" + first.Addr()}
	for i, want := range []int{204, 204, 204} {
		here.base = bases[i%2]
		if got := here.do(i+1, &protocol.Publish{Topic: "lobby", ID: fmt.Sprint(i), Data: protocol.Data(`1`)}); got != want {
			t.Errorf("%d: %d", i, got)
		}
	}
	here.base = bases[0]
	if got := here.do(3, &protocol.Publish{Topic: "lobby", ID: "never", Data: protocol.Data(`1`)}); got != 204 {
		t.Error(got)
	}
	if got := here.do(9, &protocol.Ping{Ref: 3}); got != 409 {
		t.Error(got)
	}
	for i := range 3 {
		if got := here.message(); got.ID != fmt.Sprint(i) {
			t.Errorf("%+v", got)
		}
	}
	for _, unknown := range []string{"s.AAAA.BBBB", "s.*.x", "s.>", "s..x", ""} {
		here.session = unknown
		if got := here.do(4, &protocol.Ping{Ref: 3}); got != 404 {
			t.Errorf("%q: %d", unknown, got)
		}
	}
}

// X42: whatever Last-Event-ID has, the first event is connected, with an id and what
// became of the session; one in connect wins.
func TestLastEventID(t *testing.T) {
	s, ctx := start(t, nil)
	hello := &protocol.Connect{Ref: 1, Version: 1, User: "ann"}
	was := openStream(t, ctx, s, hello)
	until[*protocol.Connected](was)
	for _, c := range []struct {
		id, brought string
		state       protocol.State
	}{
		{"s.AAAA.BBBB", "", protocol.Reset}, {"-1", "", protocol.Reset}, {strings.Repeat("9", 400), "", protocol.Reset},
		{"ann\x01", "", protocol.Reset}, {was.session, "s.other", protocol.Reset}, {was.session, "", protocol.Resumed},
	} {
		command := *hello
		command.Session = c.brought
		if c.id == "ann\x01" {
			c.id = "ann=;,"
		}
		got := until[*protocol.Connected](openStreamVia(t, ctx, "http://"+s.Addr(), map[string]string{"Last-Event-ID": c.id}, &command))
		if got.State != c.state || got.Session == "" {
			t.Errorf("%.20q: %+v", c.id, got)
		}
	}
}

// X40: a name of somebody else that resolves to this machine does not make its pages own.
func TestPagesOfReboundNamesAreRefusedWithoutAccounts(t *testing.T) {
	s, ctx := start(t, nil)
	for host, allowed := range map[string]bool{
		s.Addr(): true, "localhost": true, "LOCALHOST:8000": true, "[::1]:8000": true, "127.0.0.2": true,
		"evil.example": false, "evil.example:8000": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false, "10.0.0.1": false,
	} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Addr()+"/v1/commands", strings.NewReader("[]"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Origin", "http://"+host)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if refused := resp.StatusCode == http.StatusForbidden; refused == allowed {
			t.Errorf("a page of %s: %s", host, resp.Status)
		}
	}
}

// X40: a page of another origin gets nothing done, and nothing to read, by any way.
func TestForeignPagesAreRefused(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) { c.Origins = []string{"https://good.example"} })
	own := "http://" + s.Addr()
	hello := &protocol.Connect{Ref: 1, Version: 1, User: "ann"}
	for origin, allowed := range map[string]bool{
		own: true, "https://good.example": true,
		"null": false, "https://evil.example": false, "https://good.example.evil": false, "https://evil-good.example": false,
		"https://good.example:8443": false, "http://good.example": false, "https://a.good.example": false, own + ".evil.example": false,
	} {
		for _, path := range []string{"/v1/stream", "/v1/commands"} {
			resp := post(t, ctx, own+path, map[string]string{"Origin": origin, "Cookie": "a=b"}, hello)
			if refused := resp.StatusCode == http.StatusForbidden; refused == allowed {
				t.Errorf("%s of %s: %s", path, origin, resp.Status)
			}
			reads := resp.Header.Get("Access-Control-Allow-Origin")
			if allowed && reads != origin || !allowed && reads != "" || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s of %s: %v", path, origin, resp.Header)
			}
		}
		ws, err := pull.Dial(ctx, "ws://"+s.Addr()+"/v1/socket", &engine.DialOptions{Origin: origin})
		if (err == nil) != allowed {
			t.Errorf("WebSocket of %s: %v", origin, err)
		}
		if err == nil {
			ws.CloseNow()
			<-ws.WebSocket().Done()
		}
	}
	for name, header := range map[string]map[string]string{
		"no-cors": {"Content-Type": "text/plain", "Sec-Fetch-Site": "cross-site"},
		"fetch":   {"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"},
		"form":    {"Content-Type": "application/x-www-form-urlencoded"},
	} {
		if got := post(t, ctx, own+"/v1/stream", header, hello).StatusCode; got < 400 {
			t.Errorf("%s: %d", name, got)
		}
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodOptions, own+"/v1/commands", nil)
	req.Header.Set("Origin", "https://good.example")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "Fanloop-Seq") {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}

// odd are names that mean something elsewhere, and nothing here.
var odd = []string{
	"a.b", ">", "*", "a b", "../x", "%2e", "$JS.API", "$SYS", "__proto__", "constructor", "A", "a", "caf\u00e9", "\U0001F44B",
	"<img onerror=x>", strings.Repeat("x", 255),
}

// X47: names mean nothing but themselves: lines, history and presence of each topic are
// its own, and users with such names are themselves.
func TestNamesMeanNothing(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) {
		c.Limits.User.Commands, c.Limits.Address.Commands = config.Rate{}, config.Rate{}
	})
	for i, name := range odd {
		user := name[:min(len(name), 128)]
		c := connect(t, ctx, s, protocol.JSON, user)
		got := c.subscribe(protocol.Subscribe{Topic: name, Attempt: 1, Last: 10, Presence: true, Kinds: []string{protocol.KindTyping}})
		if len(got.Messages) != 0 || got.Presence.Count != 1 || got.Presence.Users[0] != user || len(got.Kinds[0].Values) != 0 {
			t.Errorf("%q has what is another's: %+v", name, got)
		}
		id := fmt.Sprint(i)
		c.send(&protocol.Set{Topic: name, Kind: protocol.KindTyping, Data: protocol.Data(`true`)})
		c.publish(name, id)
		c.saw(id)
		if page := history(c, protocol.History{Topic: name}); len(page.Messages) != 1 || page.Messages[0].User != user {
			t.Errorf("%q: %+v", name, page.Messages)
		}
	}
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	for i, name := range []string{"", "a\r\nb", "a\x00", strings.Repeat("x", 256), "cafe\u0301", " a", "a\u2028", "a\u202e", "nowhere:x"} {
		ann.send(&protocol.Subscribe{Ref: 5, Topic: name, Attempt: uint32(i + 1)})
		if got := ann.failure(); got.Code != protocol.BadName && got.Code != protocol.UnknownTopic && got.Code != protocol.BadField {
			t.Errorf("%.20q: %+v", name, got)
		}
	}
}

// logs is a log that is kept.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// X50: no log, whatever its level, has a token, a name or a text of users; and a request
// with a token in its URL is not one of this service.
func TestLogsHaveNothingOfUsers(t *testing.T) {
	kept := new(logs)
	c := config.Default()
	withAccounts(&c)
	c.Listen, c.DataDir = "127.0.0.1:0", t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := service.Start(ctx, c, slog.New(slog.NewTextHandler(kept, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	good := token(t, time.Hour, jwt.MapClaims{"sub": "secretuser"})
	ann := enter(t, ctx, s, good)
	ann.subscribe(protocol.Subscribe{Topic: "secretroom", Attempt: 1})
	ann.send(&protocol.Publish{Ref: 4, Topic: "secretroom", ID: "secretid", Data: protocol.Data(`"secrettext"`)})
	await[*protocol.Published](ann)
	bad := dial(t, ctx, s, protocol.JSON)
	bad.send(&protocol.Connect{Ref: 1, Version: 1, Token: good + "secretforged"})
	bad.failure()
	if err := ann.ws.Write(ctx, engine.Text, []byte(`{"type":"secretcommand","a":`)); err != nil {
		t.Fatal(err)
	}
	ann.failure()
	get(t, ctx, "http://"+s.Addr()+"/secretpath?token="+good)
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	kept.mu.Lock()
	defer kept.mu.Unlock()
	if text := kept.text.String(); strings.Contains(text, "secret") || strings.Contains(text, good) {
		t.Error(text)
	}
}
