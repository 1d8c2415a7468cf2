package client_test

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
)

// The life of a page: caches, freezing, reloads, tabs.
func TestClientInChromium(t *testing.T) {
	browser, node := chattest.StartBrowser(t), startSite(t, nil)
	open := func(t *testing.T, room string) (*seat, *chattest.Tab) {
		tab := browser.Open(t, address(node, options{User: "ann", Room: room}))
		s := &seat{&tab.Script, t, node, room}
		s.sees(`page.room.state === "subscribed"`)
		return s, tab
	}

	t.Run("X05 back from the cache of the browser", func(t *testing.T) {
		ann, tab := open(t, "back")
		node.Say("bob", "back", chattest.Count("before", 3)...)
		leave := func() (kept bool) {
			ann.Do(`document.getElementById("draft").value = "a draft"`)
			ann.sees(`page.shown.length >= 3`)
			tab.Run(chromedp.Navigate(address(node, options{User: "ann", Room: "elsewhere"})))
			ann.sees(`page.room.name === "elsewhere" && page.room.state === "subscribed"`)
			chattest.Until(t, "one WebSocket is left", func() bool { now, _ := node.Proxy.Sockets(); return now == 1 })
			node.Say("bob", "back", chattest.Count("meanwhile", 5)...)
			ann.Do(`history.back()`) // no load event follows, for which chromedp would wait
			ann.sees(`page.room.name === "back" && page.client.state === "connected" && (page.persisted || performance.getEntriesByType("navigation")[0].type === "back_forward")`)
			ann.Get(`page.persisted === true`, &kept)
			return kept
		}
		for attempt := 1; !leave(); attempt++ { // a browser on a busy machine may load it anew
			if attempt == 10 {
				t.Fatal("the browser never keeps the page")
			}
		}
		ann.showsTheStream()
		ann.sees(`document.getElementById("draft").value === "a draft" && page.resets === 0`)
		chattest.Until(t, "one WebSocket is left", func() bool { now, _ := node.Proxy.Sockets(); return now == 1 })
	})
	t.Run("X06 a frozen page comes back by its resume event", func(t *testing.T) {
		ann, tab := open(t, "frozen")
		tab.Lifecycle(page.SetWebLifecycleStateStateFrozen)
		ann.sees(`page.events.includes("freeze")`)
		chattest.Until(t, "the page stands still", func() bool {
			var before, after int
			ann.Get(`page.ticks`, &before)
			time.Sleep(100 * time.Millisecond) // ten ticks of a page that runs
			ann.Get(`page.ticks`, &after)
			return before == after
		})
		node.Say("bob", "frozen", chattest.Count("unseen", 30)...)
		node.Proxy.Cut()
		tab.Lifecycle(page.SetWebLifecycleStateStateActive)
		ann.sees(`page.events.includes("resume")`)
		ann.showsTheStream()
		ann.sees(`page.resets === 0`)
	})
	t.Run("X10 the answer is lost, and the page is loaded anew", func(t *testing.T) {
		ann, tab := open(t, "reload")
		node.Proxy.Mute()
		ann.publish("once")
		chattest.Until(t, "it is stored", func() bool { return len(node.Stream("reload")) == 1 })
		node.Proxy.Cut()
		tab.Run(chromedp.Reload())
		ann.sees(`!page.sent && page.room.state === "subscribed" && page.client.outgoing.length === 0 && sessionStorage.length === 0`)
		ann.showsTheStream()
		if n := len(node.Stream("reload")); n != 1 {
			t.Errorf("%d lines", n)
		}
	})
	t.Run("X41 eight tabs with streams load and send, and one that comes back to the front has it all", func(t *testing.T) {
		const tabs = 8 // a browser has six connections over HTTP/1.1
		where := address(node, options{User: "ann", Room: "many", SSE: true})
		first := browser.Open(t, where)
		for n := range tabs {
			tab := first
			if n > 0 {
				tab = first.Again(t, where)
			}
			ann := &seat{&tab.Script, t, node, "many"}
			ann.sees(`page.room.state === "subscribed"`)
			ann.publish("sent")
			ann.sees(`page.sent.state === "stored"`)
			ann.Do(`Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true })`) // behind the next one
		}
		front := &seat{&first.Script, t, node, "many"} // others have taken its stream
		front.Do(`Object.defineProperty(document, "visibilityState", { value: "visible" });
			document.dispatchEvent(new Event("visibilitychange"))`)
		front.showsTheStream()
		if n := len(node.Stream("many")); n != tabs {
			t.Errorf("%d lines", n)
		}
	})
}

// X07: two tabs of a user, whose refresh tokens are good for one use.
func TestTabsSignInTogether(t *testing.T) {
	browser := chattest.StartBrowser(t)
	node := startSite(t, func(c *config.Config) {
		c.Accounts.Keys = []config.Key{{Algorithm: "HS256", Secret: config.NewSecret(secret)}}
		c.Accounts.Leeway = 0
	})
	// The oracle has no token, so it stays out of this.
	where := address(node, options{User: "ann", Room: "tabs"}) + "&tabs=all"
	first := browser.Open(t, where)
	one := &seat{&first.Script, t, node, "tabs"}
	one.sees(`page.room.state === "subscribed"`)
	two := &seat{&first.Again(t, where).Script, t, node, "tabs"}
	for _, s := range []*seat{one, two} { // neither used the refresh token of the other
		s.sees(`page.fetches >= 4 && page.client.state === "connected" && !page.states.includes("failed")`)
	}
	node.Proxy.Refuse(true)
	two.sees(`page.client.state !== "connected"`)
	one.Do(`page.client.logout()`)
	two.sees(`page.client.state === "idle"`)
	node.Proxy.Refuse(false)
	two.Do(`page.wake()`)
	two.sees(`page.client.state === "idle" && page.client.user === ""`)
	chattest.Until(t, "no WebSocket is left", func() bool { now, _ := node.Proxy.Sockets(); return now == 0 })
}
