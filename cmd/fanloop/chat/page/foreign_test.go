package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
)

// X40: a page of a listed origin imports the client and chats, and one of another origin
// gets nothing.
func TestPagesOfOtherOriginsInChromium(t *testing.T) {
	browser := chattest.StartBrowser(t)
	blank := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") })
	origin := func() string { // localhost is another site than 127.0.0.1, where the chat is
		s := httptest.NewServer(blank)
		t.Cleanup(s.Close)
		return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	}
	listed, other := origin(), origin()
	node := chattest.StartNode(t, func(c *config.Config) { c.Origins = []string{listed} })
	const setup = `globalThis.base = `

	for _, way := range []string{"websocket", "sse"} {
		t.Run("a listed one by "+way, func(t *testing.T) {
			tab := browser.Open(t, listed)
			tab.Do(setup + quote("http://"+node.Proxy.Addr()) + `;
				const { Client } = await import(base + "/fanloop.js");
				globalThis.chat = new Client({ url: base, user: "ann", transports: [` + quote(way) + `] });
				globalThis.shown = [];
				globalThis.room = chat.topic("foreign " + ` + quote(way) + `);
				room.on("messages", (messages) => shown.push(...messages.map(({ data }) => data.text)));
				room.subscribe();
				chat.connect();
				room.publish({ text: "from elsewhere" })`)
			tab.Wait(`shown.join() === "from elsewhere" && chat.transport === `+quote(way)+` && chat.outgoing.length === 0`, `chat.state`, `shown`)
			node.Say("bob", "foreign "+way, "an answer")
			tab.Wait(`shown.join() === "from elsewhere,an answer"`, `shown`)
		})
	}
	t.Run("another one", func(t *testing.T) {
		tab := browser.Open(t, other)
		var got []string
		_, before := node.Proxy.Sockets()
		tab.Do(setup + quote("http://"+node.Proxy.Addr()))
		tab.Get(`Promise.all([
			import(base + "/fanloop.js").then(() => "imported", () => "refused"),
			fetch(base + "/fanloop.js").then(() => "read", () => "refused"),
			fetch(base + "/v1/stream", { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"type":"connect","version":1,"ref":1,"user":"eve"}' }).then(() => "read", () => "refused"),
			fetch(base + "/v1/stream", { method: "POST", mode: "no-cors", body: '{"type":"connect","version":1,"ref":1,"user":"eve"}' }).then(({ type }) => type, () => "refused"),
			new Promise((done) => {
				const socket = new WebSocket(base.replace("http", "ws") + "/v1/socket", ["fanloop.chat.v1.json"]);
				socket.onopen = () => done("open");
				socket.onclose = ({ code }) => done("closed " + code);
			}),
		])`, &got)
		if want := "refused refused refused opaque closed 1006"; strings.Join(got, " ") != want {
			t.Errorf("%q, want %q", got, want)
		}
		if _, after := node.Proxy.Sockets(); after != before+1 {
			t.Errorf("%d handshakes", after-before) // so it was the node that refused it
		}
	})
}
