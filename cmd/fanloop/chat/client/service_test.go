package client_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/client"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
)

// options are those of start in test/tab.js.
type options struct {
	URL  string  `json:"url,omitempty"`
	User string  `json:"user"`
	Room string  `json:"room"`
	Fast float64 `json:"fast,omitempty"`
	SSE  bool    `json:"-"`
}

// world is where clients run: in Chromium or in Node.
type world struct {
	node *chattest.Node
	open func(t *testing.T, o options) *chattest.Script
}

// seat is one client in a room.
type seat struct {
	*chattest.Script
	t    *testing.T
	node *chattest.Node
	room string
}

func (w *world) join(t *testing.T, o options) *seat {
	t.Helper()
	s := &seat{w.open(t, o), t, w.node, o.Room}
	s.sees(`page.room.state === "subscribed"`)
	return s
}

// sees waits for a condition of page, in test/tab.js.
func (s *seat) sees(condition string) {
	s.t.Helper()
	s.Wait(`globalThis.page && (`+condition+`)`, `page.client.state`, `page.states.join()`, `page.room.state`, `page.shown.length`, `page.sent?.state`)
}

// publish publishes a text, and keeps its entry as page.sent.
func (s *seat) publish(text string) {
	s.t.Helper()
	s.Do(fmt.Sprintf(`page.sent = page.room.publish({ text: %q })`, text))
}

// showsTheStream is the oracle: the list of offsets and ids is the stream's.
func (s *seat) showsTheStream() {
	s.t.Helper()
	var want [][2]string
	for _, line := range s.node.Stream(s.room) {
		want = append(want, [2]string{line.Offset, line.ID})
	}
	s.sees(fmt.Sprintf(`page.shown.length >= %d`, len(want)))
	var shown [][]json.RawMessage
	s.Get(`page.shown`, &shown)
	var got [][2]string
	for _, line := range shown {
		got = append(got, [2]string{unquote(line[0]), unquote(line[1])})
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("shown are\n%v\nthe stream is\n%v", got, want)
	}
}

func unquote(text json.RawMessage) (s string) {
	_ = json.Unmarshal(text, &s) // else it is none, which is not what is wanted
	return s
}

// The client with a node of the chat, through a proxy that breaks connections.
func TestClientWithTheService(t *testing.T) {
	t.Run("Chromium", func(t *testing.T) {
		browser, node := chattest.StartBrowser(t), startSite(t, nil)
		cases(t, &world{node, func(t *testing.T, o options) *chattest.Script {
			return &browser.Open(t, address(node, o)).Script
		}})
	})
	t.Run("Node", func(t *testing.T) {
		chattest.Packages(t, "test/npm")
		node := chattest.StartNode(t, nil)
		cases(t, &world{node, func(t *testing.T, o options) *chattest.Script {
			o.URL = "http://" + node.Proxy.Addr()
			return chattest.StartScript(t, "test/program.js", o)
		}})
	})
}

// cases are those that need nothing of a browser.
func cases(t *testing.T, w *world) {
	node := w.node
	t.Run("two chat", func(t *testing.T) {
		ann, bea := w.join(t, options{User: "ann", Room: "two"}), w.join(t, options{User: "bea", Room: "two"})
		ann.sees(`page.client.transport === "websocket" && page.room.presence.count === 2`)
		ann.publish("<img src=x> ä 😀")
		bea.sees(`page.shown.length === 1 && page.shown[0][2].text === "<img src=x> ä 😀"`)
		ann.sees(`page.sent.state === "stored" && page.shown[0]?.[1] === page.sent.id`)
		ann.showsTheStream()
		bea.showsTheStream()
	})
	t.Run("X06 the network is lost under traffic", func(t *testing.T) {
		ann := w.join(t, options{User: "ann", Room: "lost"})
		node.Say("bob", "lost", chattest.Count("before", 20)...)
		node.Proxy.Refuse(true)
		ann.sees(`page.client.state === "waiting"`)
		node.Say("bob", "lost", chattest.Count("while away", 150)...)
		ann.publish("from the outbox")
		ann.sees(`page.states.filter((state) => state === "connecting").length >= 3`) // attempts fail
		node.Proxy.Refuse(false)
		ann.Do(`page.wake()`)
		ann.sees(`page.sent.state === "stored" && page.resets === 0`)
		ann.showsTheStream()
	})
	t.Run("X03 a connection is dead in silence", func(t *testing.T) {
		ann := w.join(t, options{User: "ann", Room: "dead"})
		node.Proxy.Stall()
		defer node.Proxy.Cut() // a browser keeps connections for the next page
		node.Say("bob", "dead", chattest.Count("unheard", 3)...)
		ann.Do(`page.wake()`)
		ann.sees(`page.states.includes("waiting") && page.client.state === "connected"`)
		ann.showsTheStream()
		ann.sees(`page.resets === 0`)
	})
	t.Run("X10 the answer is lost", func(t *testing.T) {
		ann := w.join(t, options{User: "ann", Room: "answer"})
		node.Proxy.Mute()
		ann.publish("once")
		chattest.Until(t, "it is stored", func() bool { return len(node.Stream("answer")) == 1 })
		ann.sees(`page.sent.state !== "stored"`)
		node.Proxy.Cut()
		ann.sees(`page.sent.state === "stored"`)
		ann.showsTheStream()
		if n := len(node.Stream("answer")); n != 1 {
			t.Errorf("%d lines", n)
		}
	})
	t.Run("X12 what is written without a connection is stored in order, and no more than 100", func(t *testing.T) {
		ann := w.join(t, options{User: "ann", Room: "queue"})
		node.Proxy.Refuse(true)
		ann.sees(`page.client.state === "waiting"`)
		ann.Do(`page.all = Array.from({ length: 120 }, (_, i) => page.room.publish({ text: String(i) }))`)
		ann.sees(`page.all.filter(({ state, error }) => state === "refused" && error.code === "outbox_full").length === 20`)
		node.Proxy.Refuse(false)
		ann.sees(`page.all.slice(0, 100).every(({ state }) => state === "stored")`)
		ann.showsTheStream()
		ann.sees(`page.shown.map((line) => line[2].text).join() === Array.from({ length: 100 }, (_, i) => i).join()`)
	})
	t.Run("X16 another store is another life", func(t *testing.T) {
		ann := w.join(t, options{User: "ann", Room: "life"})
		node.Say("bob", "life", chattest.Count("old", 30)...)
		ann.sees(`page.shown.length === 30`)
		other := chattest.StartNode(t, nil)
		other.Say("bob", "life", chattest.Count("new", 40)...)
		before := node.Proxy.Move(other.Addr())
		defer node.Proxy.Move(before)
		ann.sees(`page.resets === 1`)
		ann.node = other
		ann.showsTheStream()
	})
	t.Run("X41 where WebSockets are blocked it goes by streams, and returns later", func(t *testing.T) {
		node.Proxy.Block(true)
		defer node.Proxy.Block(false)
		ann := w.join(t, options{User: "ann", Room: "stream", Fast: 10}) // so a minute is short
		ann.sees(`page.client.transport === "sse"`)
		ann.publish("over a stream")
		node.Say("bob", "stream", chattest.Count("to a stream", 20)...)
		ann.sees(`page.sent.state === "stored" && page.shown.length === 21`)
		node.Proxy.Block(false)
		ann.sees(`page.client.transport === "websocket" && page.client.state === "connected"`)
		node.Say("bob", "stream", chattest.Count("to a WebSocket", 20)...)
		ann.sees(`page.resets === 0`)
		ann.showsTheStream()
	})
	t.Run("X47 names mean nothing but themselves", func(t *testing.T) {
		ann := w.join(t, options{User: "ann", Room: "__proto__"})
		ann.Do(`const names = ["constructor", "a.b", ">", "*", "a b", "$JS.API", "../x", "%2e", "😀", "A", "a"];
			page.rooms = new Map(names.map((name) => [name, []]));
			for (const [name, shown] of page.rooms) {
				const topic = page.client.topic(name, { last: 10 });
				topic.on("messages", (messages) => shown.push(...messages.map(({ data }) => data)));
				topic.subscribe();
				topic.publish(name);
			}
			page.room.publish("__proto__")`)
		ann.sees(`[...page.rooms].every(([name, shown]) => shown.join() === name) && page.shown.length === 1 && page.shown[0][2] === "__proto__"`)
	})
}

func address(node *chattest.Node, o options) string {
	a := fmt.Sprintf("http://%s/?user=%s&room=%s", node.Proxy.Addr(), o.User, o.Room)
	if o.Fast != 0 {
		a += fmt.Sprintf("&fast=%v", o.Fast)
	}
	if o.SSE {
		a += "&sse=only"
	}
	return a
}

// startSite is a node with the page of the tests in front of it.
func startSite(t *testing.T, change func(*config.Config)) *chattest.Node {
	t.Helper()
	node := chattest.StartNode(t, change)
	return chattest.Behind(t, node.Addr(), serveSite(t, node.Addr(), client.Module()))
}
