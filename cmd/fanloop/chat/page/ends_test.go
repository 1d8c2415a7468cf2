package page_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// What the page shows of what the user may not see, write or do.
func TestEndsInChromium(t *testing.T) {
	browser := chattest.StartBrowser(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"allow":false,"reason":"no bad words"}`)
	}))
	t.Cleanup(backend.Close)
	node := chattest.StartNode(t, func(c *config.Config) {
		closed := c.Namespaces["default"]
		closed.Who = map[rules.Right]rules.Who{rules.Subscribe: rules.Nobody}
		c.Namespaces["closed"] = closed
		mute := c.Namespaces["default"]
		mute.Who = maps.Clone(mute.Who)
		mute.Who[rules.Publish] = rules.Nobody
		c.Namespaces["mute"] = mute
	})
	const (
		nothing = `look.texts().length === 0 && document.getElementById("people").hidden`
		locked  = `document.getElementById("text").readOnly && document.getElementById("send").disabled`
		reason  = `document.getElementById("trouble-text").textContent`
		rooms   = `[...document.querySelectorAll("#rooms .name")].map((name) => name.textContent).join()`
	)

	t.Run("X36 a room goes from the page of a user who is removed from it, with a reason", func(t *testing.T) {
		ann, bea := enter(t, browser, node, "ann", "kick"), enter(t, browser, node, "bea", "kick")
		ann.visit("other")
		ann.visit("kick")
		bea.says("a secret")
		ann.sees(`look.shows("a secret") && look.people() === "2 people"`)
		ann.types("an answer")
		if n, err := node.Service.Unsubscribe(context.Background(), "ann", "kick"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		ann.sees(nothing + ` && ` + locked + ` && ` + reason + ` === "You may not see this room any more." && !/secret/.test(document.body.textContent)`)
		bea.sees(`look.shows("a secret") && look.people() === "1 person"`)
		ann.types("")
		ann.visit("other")
		ann.sees(rooms + ` === "other" && !document.getElementById("text").readOnly`)
	})
	t.Run("X30 what was refused is not lost where nothing can be written any more", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "mute:kick")
		ann.says("refused")
		ann.sees(`document.querySelector(".delivery.bad")`)
		if n, err := node.Service.Unsubscribe(context.Background(), "ann", "mute:kick"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		ann.sees(locked + ` && look.pending() === 1`)
		ann.Do(`[...document.querySelectorAll(".delivery button")].find((b) => b.textContent === "Edit").click()`)
		ann.sees(`look.pending() === 0`)
		ann.Do(`if (document.getElementById("text").value !== "refused") throw new Error("lost")`)
	})
	t.Run("X36 whose connection is ended sees nothing, and all again when they come back", func(t *testing.T) {
		ann := enter(t, browser, node, "cara", "ended")
		node.Say("bob", "ended", "before")
		ann.sees(`look.shows("before")`)
		if n, err := node.Service.Disconnect(context.Background(), "cara"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		ann.sees(nothing + ` && ` + locked + ` && document.getElementById("banner-text").textContent === "You have been disconnected. Whoever runs the chat has ended your connection."`)
		ann.Do(`document.getElementById("now").click()`)
		ann.sees(`look.shows("before") && !document.getElementById("text").readOnly && document.getElementById("banner").hidden`)
	})
	t.Run("nothing can be written into a room that there is not, or that is not for the user", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "open")
		for _, room := range []string{"nowhere:room", "closed:room"} {
			ann.visit(room)
			ann.sees(nothing + ` && ` + locked + ` && ` + reason + ` !== ""`)
		}
		ann.visit("open")
		ann.sees(`!document.getElementById("text").readOnly`)
	})
	t.Run("the menus of the head close by Escape and with the room", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "menus")
		for _, id := range []string{"options", "people"} {
			menu := `document.getElementById("` + id + `")`
			ann.Do(menu + `.open = true; ` + menu + `.querySelector("summary").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }))`)
			ann.sees(`!` + menu + `.open && document.activeElement === ` + menu + `.querySelector("summary")`)
			ann.Do(menu + `.open = true`)
			ann.visit("after " + id)
			ann.sees(`!` + menu + `.open`)
		}
	})
	t.Run("the head shows as many faces as there are people, and each has a colour that all see", func(t *testing.T) {
		ann, bea := enter(t, browser, node, "ann", "faces"), enter(t, browser, node, "bea", "faces")
		enter(t, browser, node, "cy", "faces")
		const colours = `[...document.querySelectorAll("#members .avatar")].map((one) => one.nextSibling.textContent.replace(" (you)", "") + getComputedStyle(one).backgroundColor).sort().join()`
		for _, p := range []*person{ann, bea} {
			p.sees(`look.people() === "3 people" && document.querySelectorAll("#stack .avatar").length === 3`)
		}
		var seen string
		ann.Get(colours, &seen)
		bea.sees(colours + ` === ` + quote(seen) + ` && new Set([...document.querySelectorAll("#stack .avatar")].map((one) => getComputedStyle(one).backgroundColor)).size === 3`)
	})
	t.Run("the state of the connection is not cut off", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "state")
		ann.Do(`const text = document.getElementById("state-text");
			text.textContent = "Online · 999 ms · SSE";
			if (text.scrollWidth > text.clientWidth || text.getBoundingClientRect().right > document.getElementById("notify").getBoundingClientRect().left) throw new Error("cut off")`)
	})
	t.Run("a refusal has the reason of the backend", func(t *testing.T) {
		strict := chattest.StartNode(t, func(c *config.Config) {
			c.Hooks.Publish = &config.Hook{URL: backend.URL, Secrets: []config.Secret{config.NewSecret(tokenSecret)}, Timeout: time.Minute}
		})
		ann := enter(t, browser, strict, "ann", "words")
		ann.says("a bad word")
		ann.sees(`/^Not sent: no bad words\. /.test(document.querySelector(".delivery.bad")?.textContent)`)
	})
	t.Run("X07 a user who is revoked is outside, and nothing is left to read", func(t *testing.T) {
		company := startCompany(t)
		node := chattest.StartNode(t, withKeys(company.URL+"/chat-token"))
		company.page.Store("http://" + node.Proxy.Addr())
		ann := &person{Tab: browser.Open(t, "about:blank"), t: t, node: node}
		ann.Run(chromedp.Navigate(company.URL + "/sign-in?user=ann"))
		ann.Run(chromedp.Navigate(node.Page("revoked")))
		ann.ready()
		ann.says("a secret")
		ann.sees(`look.count("a secret") === 1 && look.pending() === 0`)
		if err := node.Service.Revoke(context.Background(), revoke.Revocation{Kind: revoke.User, Name: "ann"}); err != nil {
			t.Fatal(err)
		}
		ann.sees(`document.getElementById("door").open && /signed out/.test(document.getElementById("door").innerText) && ` + nothing)
	})
}
