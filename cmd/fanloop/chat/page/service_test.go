package page_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// The page in Chromium, with a node of the chat behind it.
func TestPageWithTheService(t *testing.T) {
	browser := chattest.StartBrowser(t)
	node := chattest.StartNode(t, nil)

	t.Run("two browsers chat", func(t *testing.T) {
		ann, bea := enter(t, browser, node, "ann", "two"), enter(t, browser, node, "bea", "two")
		ann.sees(`look.people() === "2 people"`)
		bea.sees(`look.people() === "2 people"`)
		bea.typesUntil("hello", ann, `look.typing() === "bea is typing"`)
		bea.says("hello *ann*")
		ann.sees(`look.count("hello *ann*") === 1 && look.typing() === ""`)
		bea.sees(`look.count("hello *ann*") === 1 && look.pending() === 0`)
	})
	t.Run("messages are edited, deleted and reacted to", func(t *testing.T) {
		ann, bea := enter(t, browser, node, "ann", "change"), enter(t, browser, node, "bea", "change")
		ann.says("first")
		ann.says("second")
		bea.sees(`look.shows("first") && look.shows("second")`)
		bea.Do(`look.shows("first").dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
			document.querySelector(".tools button").click()`)
		ann.sees(`look.shows("first").querySelector(".reaction")?.textContent === "👍1"`)
		ann.Do(`look.shows("first").querySelector(".reaction").click()`)
		for _, p := range []*person{ann, bea} { // who has not seen his own would react again
			p.sees(`look.shows("first").querySelector(".reaction")?.textContent === "👍2"`)
		}
		ann.Do(`look.shows("first").querySelector(".reaction").click()`)
		bea.sees(`look.shows("first").querySelector(".reaction")?.textContent === "👍1"`)
		ann.Do(`document.getElementById("text").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", cancelable: true }))`)
		ann.sees(`document.getElementById("text").value === "second"`)
		ann.says("second, better")
		bea.sees(`look.shows("second, better")?.querySelector(".edited")`)
		ann.Do(`look.shows("first").dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
			document.querySelector(".tools [aria-label=Delete]").click();
			document.querySelector("#confirm [value=yes]").click()`)
		bea.sees(`!look.shows("first") && document.querySelector(".gone")`)
		bea.sees(`!document.querySelector(".reaction")`)
	})
	t.Run("two tabs of a user are one presence", func(t *testing.T) {
		ann, bea := enter(t, browser, node, "ann", "tabs"), enter(t, browser, node, "bea", "tabs")
		ann.sees(`look.people() === "2 people"`)
		second := ann.again("tabs")
		second.sees(`look.people() === "2 people"`)
		second.says("from the second tab")
		for _, p := range []*person{ann, bea, second} {
			p.sees(`look.count("from the second tab") === 1 && look.people() === "2 people"`)
		}
	})
	t.Run("X06 the network is lost under traffic", func(t *testing.T) {
		ann, bea := enter(t, browser, node, "ann", "lost"), enter(t, browser, node, "bea", "lost")
		ann.sees(`look.people() === "2 people"`)
		node.Say("bob", "lost", chattest.Count("before", 40)...)
		ann.sees(`look.shows("before 39")`)
		node.Proxy.Refuse(true)
		for i := range 10 { // traffic while the page tries to come back
			node.Say("bob", "lost", chattest.Count(fmt.Sprintf("while away %d", i), 20)...)
		}
		ann.says("written without a network")
		ann.sees(`!document.getElementById("banner").hidden && look.pending() === 1`)
		node.Proxy.Refuse(false)
		ann.sees(`look.count("written without a network") === 1 && look.pending() === 0`)
		bea.sees(`look.count("written without a network") === 1`)
		ann.readsTheStream("lost")
		bea.readsTheStream("lost")
	})
	t.Run("where WebSockets are blocked the chat goes on over streams", func(t *testing.T) {
		node.Proxy.Block(true)
		defer node.Proxy.Block(false)
		ann, bea := enter(t, browser, node, "ann", "blocked"), enter(t, browser, node, "bea", "blocked")
		ann.sees(`/SSE/.test(look.state().text) && look.people() === "2 people"`)
		ann.says("over a stream")
		bea.sees(`look.count("over a stream") === 1`)
		node.Say("bob", "blocked", chattest.Count("line", 60)...)
		ann.sees(`look.shows("line 59")`)
		ann.readsTheStream("blocked")
		if _, ever := node.Proxy.Sockets(); ever == 0 {
			t.Log("no WebSocket was ever opened before") // this test alone
		}
	})
	t.Run("2000 messages scroll both ways", func(t *testing.T) {
		const room = "long"
		texts := make([]string, 2000)
		for i := range texts {
			texts[i] = fmt.Sprintf("line %d", i)
			if i%7 == 0 {
				texts[i] += " that is so long that it takes several lines of a page, or one that is broken\nby whoever wrote it"
			}
		}
		for i := 0; i < len(texts); i += 500 {
			node.Say(fmt.Sprintf("user %d", i/500%3), room, texts[i:i+500]...)
		}
		ann := enter(t, browser, node, "ann", room)
		ann.Run(chromedp.EmulateViewport(1200, 2400)) // fewer steps
		ann.readsTheStream(room)
	})
}

// X49: of three nodes, that of the page is killed, and then another: it goes on with one that
// lives, which it finds by itself.
func TestPageWhenItsNodeIsKilled(t *testing.T) {
	browser := chattest.StartBrowser(t)
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	var nodes [3]*chattest.Node
	var processes [3]*chattest.Process
	var addresses []string
	for i := range nodes {
		nodes[i] = chattest.Behind(t, "", "")
		addresses = append(addresses, "http://"+nodes[i].Proxy.Addr())
	}
	for i, node := range nodes {
		processes[i] = chattest.StartProcess(t, server.URL(), addresses[i])
		node.Serve(processes[i].Addr)
	}
	for i, node := range nodes {
		for j, other := range addresses {
			if i != j {
				chattest.Until(t, "a node knows the other", func() bool { return strings.Contains(policyOf(t, node), other) })
			}
		}
	}
	node, other := nodes[0], nodes[1]
	ann, bea := enter(t, browser, node, "ann", "killed"), enter(t, browser, other, "bea", "killed")
	ann.sees(`look.people() === "2 people"`)
	other.Say("bob", "killed", chattest.Count("before", 30)...)
	ann.sees(`look.shows("before 29")`)
	processes[0].Kill()
	other.Say("bob", "killed", chattest.Count("after", 30)...)
	ann.says("to whom?")
	ann.sees(`look.count("to whom?") === 1 && look.pending() === 0`)
	bea.sees(`look.count("to whom?") === 1 && look.people() === "2 people"`)
	ann.node = other
	ann.readsTheStream("killed")
	processes[1].Kill()
	ann.node, bea.node = nodes[2], nodes[2]
	bea.says("on the last one")
	for _, p := range []*person{ann, bea} {
		p.sees(`look.count("on the last one") === 1 && look.pending() === 0`)
		p.readsTheStream("killed")
	}
}

// policyOf is what a page of a node may do.
func policyOf(t *testing.T, node *chattest.Node) string {
	t.Helper()
	answer, err := http.Get(node.Page(""))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.Header.Get("Content-Security-Policy")
}
