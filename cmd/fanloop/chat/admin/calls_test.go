package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/admin"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/metrics"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/nodes"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/engine/pull"
)

const callerKey = "the-key-of-a-backend-0123456789abc"

// callersOf are one who may do all, and one who may do nothing.
func callersOf(t *testing.T, c config.Config) config.Callers {
	t.Helper()
	c.Callers = []config.Caller{
		{Name: "shop", Key: config.NewSecret(callerKey)}, {Name: "bank", Key: config.NewSecret(callerKey + "-bank")},
		{Name: "guest", Key: config.NewSecret(callerKey + "-guest")},
	}
	for _, call := range rules.Calls() {
		c.Callers[0].Calls = append(c.Callers[0].Calls, call.String())
		c.Callers[1].Calls = append(c.Callers[1].Calls, call.String())
	}
	c.Callers[1].Namespaces = []string{"money"}
	all, err := c.APICallers()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// apiOf serves the API of a node, with a client.
func apiOf(t *testing.T, s *service.Service) (*api.Client, http.Handler) {
	t.Helper()
	return apiOfNode(t, s, s)
}

// apiOfNode is apiOf, with what stands in for the node.
func apiOfNode(t *testing.T, s *service.Service, n admin.Node) (*api.Client, http.Handler) {
	t.Helper()
	c := config.Default()
	h := admin.New(admin.Config{Node: n, Metrics: metrics.Registry(s), OperatorKey: operatorKey, Callers: callersOf(t, c), Log: logger})
	server := httptest.NewServer(h)
	t.Cleanup(func() { server.Close(); h.Wait() })
	return &api.Client{URL: server.URL, Key: callerKey, HTTP: server.Client()}, h
}

// user is a client of the chat.
type user struct {
	t   *testing.T
	ctx context.Context
	ws  *pull.Conn
}

func enter(t *testing.T, ctx context.Context, s *service.Service, name string, topics ...string) *user {
	t.Helper()
	return enterAs(t, ctx, s, &protocol.Connect{Ref: 1, Version: protocol.Version, User: name}, topics...)
}

func enterAs(t *testing.T, ctx context.Context, s *service.Service, c *protocol.Connect, topics ...string) *user {
	t.Helper()
	ws, err := pull.Dial(ctx, "ws://"+s.Addr()+"/v1/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow(); <-ws.WebSocket().Done() })
	u := &user{t, ctx, ws}
	u.send(c)
	await[*protocol.Connected](u)
	for i, topic := range topics {
		u.send(&protocol.Subscribe{Ref: protocol.Ref(i + 2), Topic: topic, Attempt: uint32(i + 1)})
		await[*protocol.Subscribed](u)
	}
	return u
}

func (u *user) send(c protocol.Command) {
	u.t.Helper()
	text, err := protocol.JSON.AppendCommand(nil, c)
	if err == nil {
		err = u.ws.Write(u.ctx, engine.Text, text)
	}
	if err != nil {
		u.t.Fatal(err)
	}
}

// await passes frames over until one of a type comes.
func await[F protocol.Frame](u *user) F {
	u.t.Helper()
	for {
		_, text, err := u.ws.Read(u.ctx)
		if err != nil {
			u.t.Fatal(err)
		}
		for f, err := range protocol.Frames(protocol.JSON, text) {
			if wanted, is := f.(F); is && err == nil {
				return wanted
			}
		}
	}
}

// message is the next message. A subscriber that is not live yet gets it in a list.
func (u *user) message() *protocol.Message {
	u.t.Helper()
	for {
		_, text, err := u.ws.Read(u.ctx)
		if err != nil {
			u.t.Fatal(err)
		}
		for f, err := range protocol.Frames(protocol.JSON, text) {
			if err != nil {
				u.t.Fatal(err)
			}
			switch f := f.(type) {
			case *protocol.Message:
				return f
			case *protocol.Messages:
				if len(f.Messages) > 0 {
					return &f.Messages[0]
				}
			}
		}
	}
}

// What a backend publishes comes to users and is in history; an idempotency key has it
// stored once.
func TestBackendPublishes(t *testing.T) {
	s, ctx := start(t, nil)
	client, _ := apiOf(t, s)
	ann := enter(t, ctx, s, "ann", "orders")
	say := api.Publish{Topic: "orders", User: "shop", Name: "The shop", Data: protocol.Data("{\n\"text\": \"sent\"}")}
	first, err := client.Publish(ctx, "order-17", say)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := client.Publish(ctx, "order-17", say); err != nil || again != first {
		t.Errorf("%+v, %v, want %+v", again, err, first)
	}
	m := ann.message()
	if m.User != "shop" || m.Name != "The shop" || m.ID != first.ID || string(m.Data) != `{"text":"sent"}` {
		t.Errorf("%+v", m)
	}
	page, err := client.History(ctx, api.History{Topic: "orders"})
	if err != nil || len(page.Messages) != 1 || page.Messages[0].Offset != first.Pos.Offset {
		t.Errorf("%+v, %v", page, err)
	}
	bidi := api.Publish{Topic: "orders", User: "shop", Name: " The\u202e shop\n", Data: say.Data}
	if _, err := client.Publish(ctx, "bidi", bidi); err != nil {
		t.Error(err)
	}
	if m := ann.message(); m.Name != "The shop" {
		t.Errorf("%+v", m)
	}
	if _, err := client.Broadcast(ctx, "bidi", api.Broadcast{Topics: []string{"orders"}, User: "shop", Name: "\u3164", Data: say.Data}); err != nil {
		t.Error(err)
	}
	if m := ann.message(); m.Name != "" {
		t.Errorf("%+v", m)
	}
	target := &protocol.Target{Offset: first.Pos.Offset, ID: first.ID}
	for _, change := range []api.Publish{{Kind: protocol.KindEdit, Data: protocol.Data(`"better"`)}, {Kind: protocol.KindReact, Data: protocol.Data(`"👍"`)}, {Kind: protocol.KindDelete}} {
		change.Topic, change.User, change.Target = "orders", "moderator", target
		if _, err := client.Publish(ctx, "", change); err != nil {
			t.Errorf("%s: %v", change.Kind, err)
		}
		if m := ann.message(); m.Kind != change.Kind || m.User != "moderator" || m.Target == nil || *m.Target != *target || string(m.Data) != string(change.Data) {
			t.Errorf("%+v", m)
		}
		change.Target = &protocol.Target{Offset: first.Pos.Offset, ID: "other"}
		if _, err := client.Publish(ctx, "", change); codeOf(err) != "bad_target" {
			t.Errorf("%s of a message that is not there: %v", change.Kind, err)
		}
		change.Target = nil
		if _, err := client.Publish(ctx, "", change); codeOf(err) != "bad_field" {
			t.Errorf("%s of nothing: %v", change.Kind, err)
		}
	}
	say.Data = protocol.Data(`2`)
	if _, err := client.Publish(ctx, "order-17", say); codeOf(err) != "key_reused" {
		t.Errorf("another body: %v", err)
	}
	if second, err := client.Publish(ctx, "", say); err != nil || second.ID == first.ID {
		t.Errorf("without a key: %+v, %v", second, err)
	}
	all, err := client.Broadcast(ctx, "b", api.Broadcast{Topics: []string{"orders", "other", "\u00e9 >*."}, User: "shop", Data: protocol.Data(`3`)})
	if err != nil || len(all.Results) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, r := range all.Results {
		if r.Problem != nil || r.Published == nil {
			t.Errorf("%+v", r)
		}
	}
}

func codeOf(err error) string {
	var p *api.Problem
	if !errors.As(err, &p) {
		return fmt.Sprint(err)
	}
	return p.Code
}

// A backend sees on one node who is connected to another, and ends it there. X36: after
// the answer the user gets nothing of the topic.
func TestBackendActsOnAllNodes(t *testing.T) {
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	shared := func(name string) func(*config.Config) {
		return func(c *config.Config) { c.NATS, c.DataDir, c.Name = server.URL(), t.TempDir(), name }
	}
	one, ctx := start(t, shared("one"))
	two, _ := start(t, shared("two"))
	client, _ := apiOf(t, one)
	ann, tab := enter(t, ctx, two, "ann", "a", "b"), enter(t, ctx, one, "ann", "a")
	bob := enter(t, ctx, two, "bob", "a")

	var info api.UserInfo
	for len(info.Connections) < 2 { // until the nodes know one another
		if info, err = client.UserInfo(ctx, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if got := info.Connections; got[0].Node != "one" || got[1].Node != "two" || !slices.Equal(got[1].Topics, []string{"a", "b"}) {
		t.Errorf("%+v", info)
	}
	states := one.States(ctx) // for the operator's page
	if len(states) != 2 || states[0].Name != "one" || states[0].Sessions != 1 || states[1].Name != "two" || states[1].Sessions != 2 || states[1].Users != 2 {
		t.Errorf("%+v", states)
	}
	if topic, err := client.TopicInfo(ctx, "a"); err != nil || topic.Subscribers != 3 {
		t.Errorf("%+v, %v", topic, err)
	}
	var members api.Members
	for members.Count < 2 {
		if members, err = client.Presence(ctx, api.Presence{Topic: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	if ended, err := client.Unsubscribe(ctx, "k1", api.Unsubscribe{User: "ann", Topic: "a"}); err != nil || ended.Ended != 2 {
		t.Errorf("%+v, %v", ended, err)
	}
	if _, err := client.Publish(ctx, "", api.Publish{Topic: "a", User: "shop", Data: protocol.Data(`1`)}); err != nil {
		t.Fatal(err)
	}
	bob.message()
	for states := one.States(ctx); states[0].Published != 1 || states[1].Delivered != 1; states = one.States(ctx) { // it is counted when it was sent
		if states[0].Time == 0 || states[1].Time == 0 || ctx.Err() != nil {
			t.Fatalf("%+v", states)
		}
	}
	for _, u := range []*user{ann, tab} {
		if got := await[*protocol.Unsubscribed](u); got.Topic != "a" || got.Code != protocol.Forbidden {
			t.Errorf("%+v", got)
		}
		u.send(&protocol.Ping{Ref: 9})
		u.nothingBefore9()
	}
	if ended, err := client.Disconnect(ctx, "k2", "ann"); err != nil || ended.Ended != 2 {
		t.Errorf("%+v, %v", ended, err)
	}
	for _, u := range []*user{ann, tab} {
		if got := await[*protocol.Closing](u); got.Retry != protocol.Never {
			t.Errorf("%+v", got)
		}
	}
	if err := client.Revoke(ctx, "k3", api.Revoke{User: "bob"}); err != nil {
		t.Error(err)
	}
	if got := await[*protocol.Closing](bob); got.Code != protocol.Revoked {
		t.Errorf("%+v", got)
	}
}

// silentNode is a node whose calls to all nodes are confirmed by all but n2 and n3, until
// it is loud. It notes what is revoked.
type silentNode struct {
	*service.Service
	loud    bool
	revoked []revoke.Revocation
}

func (n *silentNode) Silent() []string { return []string{"n2", "n3"} }

func (n *silentNode) Revoke(_ context.Context, r revoke.Revocation) error {
	if n.revoked = append(n.revoked, r); n.loud {
		return nil
	}
	return fmt.Errorf("%w: %w", revoke.ErrUnconfirmed, nodes.Unconfirmed([]string{"n3", "n2"}))
}

// X37: a revocation that not all nodes have confirmed is answered by 503, which names the
// silent ones. Who repeats the call with the same key revokes what was issued up to the
// first one, and no token of who has signed in since then; with another key, all.
func TestUnconfirmedCallsMayBeRepeated(t *testing.T) {
	s, ctx := start(t, nil)
	node := &silentNode{Service: s}
	client, _ := apiOfNode(t, s, node)
	repeat := func(key string) error { return client.Revoke(ctx, key, api.Revoke{User: "ann"}) }
	for range 2 {
		problem, is := errors.AsType[*api.Problem](repeat("k1"))
		if !is || problem.Status != 503 || problem.Code != "unconfirmed" || problem.Retry == 0 || !strings.Contains(problem.Detail, "n2, n3") {
			t.Errorf("%+v", problem)
		}
	}
	ended, err := client.Disconnect(ctx, "d1", "ann")
	if err != nil || !slices.Equal(ended.Silent, []string{"n2", "n3"}) {
		t.Errorf("a call without the silent nodes does not name them: %+v, %v", ended, err)
	}
	node.loud = true
	for _, key := range []string{"k1", "k1", "k2"} {
		if err := repeat(key); err != nil {
			t.Error(err)
		}
	}
	if len(node.revoked) != 4 {
		t.Fatalf("revoked %d times: %v", len(node.revoked), node.revoked)
	}
	first := node.revoked[0].Before
	for i, r := range node.revoked {
		if first.IsZero() || r.Before.Equal(first) != (i < 3) {
			t.Errorf("%d: %v, want %v", i, r.Before, first)
		}
	}
}

// nothingBefore9 fails if a message comes in front of the answer to the ping.
func (u *user) nothingBefore9() {
	u.t.Helper()
	for {
		_, text, err := u.ws.Read(u.ctx)
		if err != nil {
			u.t.Fatal(err)
		}
		for f, err := range protocol.Frames(protocol.JSON, text) {
			switch f.(type) {
			case *protocol.Pong:
				return
			case *protocol.Message, *protocol.Messages:
				u.t.Fatalf("%+v came, %v", f, err)
			}
		}
	}
}

// bodies are requests that each call takes.
var bodies = map[string]string{
	"/v1/publish":     `{"topic":"t","user":"u","data":1}`,
	"/v1/broadcast":   `{"topics":["t"],"user":"u","data":1}`,
	"/v1/history":     `{"topic":"t"}`,
	"/v1/presence":    `{"topic":"t"}`,
	"/v1/topic":       `{"topic":"t"}`,
	"/v1/user":        `{"user":"u"}`,
	"/v1/unsubscribe": `{"topic":"t","user":"u"}`,
	"/v1/disconnect":  `{"user":"u"}`,
	"/v1/revoke":      `{"user":"u"}`,
}

func post(h http.Handler, path, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://127.0.0.1:8001"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// fetchOfNode are the headers of a fetch of Node 20 that posts JSON with a key.
var fetchOfNode = map[string]string{
	"Authorization": "Bearer " + callerKey, "Content-Type": "application/json", "Accept": "*/*", "Accept-Language": "*",
	"Sec-Fetch-Mode": "cors", "User-Agent": "node", "Accept-Encoding": "gzip, deflate", "Connection": "keep-alive",
}

// X40: every call, without a key, with a wrong one, with one that may not, out of its
// namespace, from a browser, by Node's fetch, and with the right one.
func TestWhoMayCallWhat(t *testing.T) {
	s, _ := start(t, nil)
	_, h := apiOf(t, s)
	for _, path := range admin.Paths() {
		body, known := bodies[path]
		if !known {
			t.Errorf("no body for %s: add one", path)
		}
		for _, c := range []struct {
			name   string
			header map[string]string
			want   int
		}{
			{"nobody", nil, 401},
			{"an empty key", map[string]string{"Authorization": "Bearer "}, 401},
			{"a wrong key", map[string]string{"Authorization": "Bearer " + callerKey + "x"}, 401},
			{"the operator's key", map[string]string{"Authorization": "Bearer " + operatorKey}, 401},
			{"the key as another scheme", map[string]string{"Authorization": "Basic " + callerKey}, 401},
			{"who may do nothing", map[string]string{"Authorization": "Bearer " + callerKey + "-guest"}, 403},
			{"who may do it elsewhere", map[string]string{"Authorization": "Bearer " + callerKey + "-bank"}, 403},
			{"a page of this origin", map[string]string{"Authorization": "Bearer " + callerKey, "Origin": "http://127.0.0.1:8001"}, 403},
			{"a page of another origin", map[string]string{"Authorization": "Bearer " + callerKey, "Origin": "https://evil.example"}, 403},
			{"a browser without an origin", map[string]string{"Authorization": "Bearer " + callerKey, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "none"}, 403},
			{"a browser that hides its origin", map[string]string{"Authorization": "Bearer " + callerKey, "Origin": "null"}, 403},
			{"fetch of Node", fetchOfNode, 200},
			{"a caller", map[string]string{"Authorization": "Bearer " + callerKey}, 200},
		} {
			got := post(h, path, body, c.header)
			if got.Code != c.want {
				t.Errorf("%s by %s: %d, want %d: %s", path, c.name, got.Code, c.want, got.Body)
			}
			isProblem(t, got)
		}
	}
}

// isProblem checks the form of an answer.
func isProblem(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var p api.Problem
	if w.Code == http.StatusOK {
		return
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Code == "" || p.Title == "" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d is no problem: %s, %v", w.Code, w.Body, err)
	}
}

// What is wrong is refused in words, with a code, and without what was sent.
func TestBadCallsAreRefused(t *testing.T) {
	s, _ := start(t, nil)
	_, h := apiOf(t, s)
	key := map[string]string{"Authorization": "Bearer " + callerKey}
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"/v1/publish", ``, 400, "bad_frame"},
		{"/v1/publish", `{`, 400, "bad_frame"},
		{"/v1/publish", `[]`, 400, "bad_field"},
		{"/v1/publish", `{"topic":"t","topic":"u","user":"u","data":1}`, 400, "bad_frame"},
		{"/v1/publish", "{\"topic\":\"\xff\",\"user\":\"u\",\"data\":1}", 400, "bad_frame"},
		{"/v1/publish", `{"topic":"t","user":"u","data":1,"secret-word":1}`, 400, "bad_field"},
		{"/v1/publish", `{"topic":7,"user":"u","data":1}`, 400, "bad_field"},
		{"/v1/publish", `{"topic":"","user":"u","data":1}`, 400, "bad_name"},
		{"/v1/publish", `{"topic":"a\u0000b","user":"u","data":1}`, 400, "bad_name"},
		{"/v1/publish", `{"topic":"e\u0301","user":"u","data":1}`, 400, "bad_name"},
		{"/v1/publish", `{"topic":"unknown:t","user":"u","data":1}`, 404, "unknown_topic"},
		{"/v1/publish", `{"topic":"t","data":1}`, 400, "bad_name"},
		{"/v1/publish", `{"topic":"t","user":"u","id":"a b","data":1}`, 400, "bad_field"},
		{"/v1/publish", `{"topic":"t","user":"u","kind":"A B","data":1}`, 400, "bad_name"},
		{"/v1/publish", `{"topic":"t","user":"u","data":` + deep + `}`, 400, "bad_frame"},
		{"/v1/publish", `{"topic":"t","user":"u","data":"` + strings.Repeat("x", 17<<10) + `"}`, 413, "too_large"},
		{"/v1/publish", `{"topic":"t","user":"u","data":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "too_large"},
		{"/v1/broadcast", `{"topics":[],"user":"u","data":1}`, 400, "bad_field"},
		{"/v1/broadcast", `{"topics":["t","unknown:t"],"user":"u","data":1}`, 404, "unknown_topic"},
		{"/v1/history", `{"topic":"t","limit":-1}`, 400, "bad_field"},
		{"/v1/history", `{"topic":"t","before":{"epoch":"x","offset":"7","id":"x"}}`, 410, "position_lost"},
		{"/v1/history", `{"topic":"t","before":{"epoch":"x","offset":7,"id":"x"}}`, 400, "bad_field"},
		{"/v1/presence", `{"topic":"t","limit":1e9}`, 400, "bad_field"},
		{"/v1/topic", `{}`, 400, "bad_name"},
		{"/v1/user", `{"user":""}`, 400, "bad_name"},
		{"/v1/unsubscribe", `{"topic":"t"}`, 400, "bad_name"},
		{"/v1/revoke", `{}`, 400, "bad_field"},
		{"/v1/revoke", `{"user":"u","token":"t"}`, 400, "bad_field"},
		{"/v1/revoke", `{"user":"` + strings.Repeat("x", 200) + `"}`, 400, "bad_name"},
	} {
		got := post(h, c.path, c.body, key)
		if got.Code != c.status || !strings.Contains(got.Body.String(), `"code":"`+c.code+`"`) {
			t.Errorf("%s %.60q: %d %s, want %d %s", c.path, c.body, got.Code, got.Body, c.status, c.code)
		}
		isProblem(t, got)
	}
	if got := post(h, "/v1/publish", bodies["/v1/publish"], map[string]string{"Authorization": "Bearer " + callerKey, "Content-Type": "text/plain"}); got.Code != 415 {
		t.Errorf("text/plain: %d", got.Code)
	}
	for _, key := range []string{"", " ", strings.Repeat("k", 129)} {
		got := post(h, "/v1/publish", bodies["/v1/publish"], map[string]string{"Authorization": "Bearer " + callerKey, "Idempotency-Key": key})
		if got.Code != 400 || !strings.Contains(got.Body.String(), `"bad_key"`) {
			t.Errorf("idempotency key %q: %d %s", key, got.Code, got.Body)
		}
	}
	if got := post(h, "/v1/publish", bodies["/v1/publish"], map[string]string{"Authorization": "Bearer " + callerKey, "Idempotency-Key": "a b"}); got.Code != 400 {
		t.Errorf("a key with a space: %d", got.Code)
	}
	if got := ask(h, "GET", "/v1/publish", with("Authorization", "Bearer "+callerKey)); got.Code != 405 || got.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", got.Code)
	}
}

// Keys belong to callers: another's is another one.
func TestIdempotencyKeysBelongToCallers(t *testing.T) {
	s, _ := start(t, func(c *config.Config) { c.Namespaces["money"] = c.Namespaces[config.DefaultNamespace] })
	_, h := apiOf(t, s)
	send := func(key, body string) string {
		got := post(h, "/v1/publish", body, map[string]string{"Authorization": "Bearer " + key, "Idempotency-Key": "same"})
		var p api.Published
		if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil || got.Code != 200 {
			t.Errorf("%d %s, %v", got.Code, got.Body, err)
		}
		return p.ID
	}
	body := `{"topic":"money:t","user":"u","data":1}`
	shop, bank := send(callerKey, body), send(callerKey+"-bank", `{"topic":"money:t","user":"u","data":2}`)
	if shop == bank || send(callerKey, body) != shop {
		t.Errorf("%s, %s", shop, bank)
	}
}

// rightOf is what each call takes, written down apart from the code.
var rightOf = map[string]rules.Call{
	"/v1/publish": rules.CallPublish, "/v1/broadcast": rules.CallPublish, "/v1/history": rules.CallHistory, "/v1/presence": rules.CallPresence,
	"/v1/topic": rules.CallTopicInfo, "/v1/user": rules.CallUserInfo, "/v1/unsubscribe": rules.CallUnsubscribe,
	"/v1/disconnect": rules.CallDisconnect, "/v1/revoke": rules.CallRevoke,
}

// Every call of the server API against every right of a caller, by HTTP.
func TestEveryCallAgainstEveryRight(t *testing.T) {
	s, _ := start(t, nil)
	c := config.Default()
	for _, right := range rules.Calls() {
		c.Callers = append(c.Callers, config.Caller{Name: right.String(), Key: config.NewSecret(callerKey + right.String()), Calls: []string{right.String()}})
	}
	callers, err := c.APICallers()
	if err != nil {
		t.Fatal(err)
	}
	h := admin.New(admin.Config{Node: s, Metrics: metrics.Registry(s), Callers: callers, Log: logger})
	defer h.Wait()
	for _, path := range admin.Paths() {
		takes, known := rightOf[path]
		if !known {
			t.Errorf("%s has no row: say what it takes", path)
		}
		for _, right := range rules.Calls() {
			want := http.StatusForbidden
			if right == takes {
				want = http.StatusOK
			}
			if got := post(h, path, bodies[path], map[string]string{"Authorization": "Bearer " + callerKey + right.String()}); got.Code != want {
				t.Errorf("%s with %v: %d, want %d: %s", path, right, got.Code, want, got.Body)
			}
		}
	}
}

// The same key for another body is refused, for another call it is
// another key, and every call that changes something takes one.
func TestIdempotencyKeysBelongToCallAndBody(t *testing.T) {
	s, ctx := start(t, nil)
	client, h := apiOf(t, s)
	defer h.(*admin.Handler).Wait()
	send := func(path, body string) (status int, answer string) {
		got := post(h, path, body, map[string]string{"Authorization": "Bearer " + callerKey, "Idempotency-Key": "k"})
		return got.Code, got.Body.String()
	}
	for path, body := range bodies {
		if status, answer := send(path, body); status != http.StatusOK {
			t.Errorf("%s: %d %s: the key belongs to another call", path, status, answer)
		}
	}
	for path, body := range bodies {
		other := strings.Replace(strings.Replace(body, `"t"`, `"t2"`, 1), `"u"`, `"u2"`, 1)
		reads := path == "/v1/history" || path == "/v1/presence" || path == "/v1/topic" || path == "/v1/user"
		if status, answer := send(path, other); (status == http.StatusUnprocessableEntity) == reads {
			t.Errorf("%s with another body: %d %s", path, status, answer)
		}
	}
	first, err := client.Publish(ctx, "once", api.Publish{Topic: "t", User: "u", Data: []byte(`1`)})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := client.Publish(ctx, "once", api.Publish{Topic: "t", User: "u", Data: []byte(`1`)}); err != nil || again != first {
		t.Errorf("%+v, %v; want %+v", again, err, first)
	}
}
