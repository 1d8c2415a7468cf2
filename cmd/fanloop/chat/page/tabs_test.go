package page_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// leavesAndComesBack goes to another page and back, and reports whether the browser has kept
// the page: it does not where a page takes seconds to stand still, as on a busy machine.
func (p *person) leavesAndComesBack() (kept bool) {
	p.t.Helper()
	p.sees(`look.end()`)
	p.types("a draft")
	p.Do(`const list = document.getElementById("list");
		list.scrollTop -= 500;
		await look.settled();
		const top = list.getBoundingClientRect().top;
		globalThis.line = look.lines().find((one) => one.getBoundingClientRect().top > top + 40);
		globalThis.y = line.getBoundingClientRect().bottom;
		addEventListener("pageshow", ({ persisted }) => (globalThis.persisted = persisted))`)
	p.Run(chromedp.Navigate("http://" + p.node.Proxy.Addr() + "/icon.svg"))
	chattest.Until(p.t, "no WebSocket is left", func() bool { now, _ := p.node.Proxy.Sockets(); return now == 0 })
	p.node.Say("bob", "back", chattest.Count("meanwhile", 5)...)
	p.Do(`history.back()`)
	const again = `performance.getEntriesByType("navigation")[0]?.type === "back_forward"`
	p.Wait(`globalThis.persisted || document.getElementById("state")?.dataset.state === "connected" && `+again, again)
	p.Get(`globalThis.persisted === true`, &kept)
	if !kept {
		p.ready()
	}
	return kept
}

// Several tabs of one person, and the life of one.
func TestTabsInChromium(t *testing.T) {
	browser := chattest.StartBrowser(t)
	node := chattest.StartNode(t, func(c *config.Config) {
		closed := c.Namespaces["default"]
		closed.Who = map[rules.Right]rules.Who{rules.Subscribe: rules.Nobody}
		c.Namespaces["closed"] = closed
	})

	t.Run("X05 back from the cache of the browser, with draft and place", func(t *testing.T) {
		node.Say("bob", "back", chattest.Count("before", 200)...)
		ann := enter(t, browser, node, "ann", "back")
		for attempt := 1; !ann.leavesAndComesBack(); attempt++ {
			if attempt == 10 {
				t.Fatal("the browser never keeps the page")
			}
		}
		ann.sees(`look.state().state === "connected" && /5 new/.test(document.getElementById("jump").textContent)`)
		ann.sees(`line.isConnected && Math.abs(line.getBoundingClientRect().bottom - y) <= 1 && document.getElementById("text").value === "a draft"`)
		chattest.Until(t, "one WebSocket is there", func() bool { now, _ := node.Proxy.Sockets(); return now == 1 })
		ann.readsTheStream("back")
		ann.Close()
	})
	t.Run("X07 signing out in one tab is one in all, and leaves nothing for the next person", func(t *testing.T) {
		first := enter(t, browser, node, "ann", "secret")
		second := first.again("secret")
		first.says("of ann")
		second.sees(`look.count("of ann") === 1`)
		first.types("a secret draft")
		node.Proxy.Refuse(true)
		second.sees(`look.state().state === "waiting"`)
		second.says("not sent yet")
		for _, p := range []*person{first, second} {
			p.Do(`window.signedIn = true`)
		}
		first.Do(`document.getElementById("logout").click()`)
		for _, p := range []*person{first, second} { // another document, of the page or of the browser's error
			p.Wait(`!window.signedIn || document.getElementById("signin")?.open`)
		}
		node.Proxy.Refuse(false)
		for _, p := range []*person{first, second} { // its page could not be loaded without a network
			p.Run(chromedp.Navigate(node.Page("")))
			p.Wait(`document.getElementById("signin")?.open`)
		}
		first.Wait(`!Object.keys(localStorage).some((key) => /ann/.test(key) || /ann|secret|not sent/.test(localStorage[key])) && !Object.values(sessionStorage).some((value) => /ann/.test(value))`, `JSON.stringify(localStorage)`, `JSON.stringify(sessionStorage)`)
		first.name = "eve"
		first.signIn()
		first.sees(`document.getElementById("title").textContent === "lobby" && !/secret|of ann|not sent/.test(document.body.innerText) && document.getElementById("text").value === ""`)
		if lines := node.Stream("secret"); len(lines) != 1 {
			t.Errorf("%d lines", len(lines))
		}
	})
	t.Run("X24 a tab that shows a room does not read what another set back", func(t *testing.T) {
		node.Say("bob", "unread", chattest.Count("line", 30)...)
		first := enter(t, browser, node, "ann", "unread")
		second := first.again("unread")
		for _, p := range []*person{first, second} {
			p.sees(`look.end() && look.shows("line 29")`)
		}
		first.act("line 25", "Mark unread from here")
		for _, p := range []*person{first, second} {
			p.sees(`look.divider()?.label === "5 new messages" && look.unread("unread") === "5"`)
		}
		node.Say("bob", "unread", "one more")
		for _, p := range []*person{first, second} {
			p.sees(`look.shows("one more") && look.divider()?.label === "6 new messages" && look.unread("unread") === "6"`)
		}
		third := first.again("elsewhere") // what the service knows
		third.visit("unread")
		third.sees(`look.divider()?.label === "6 new messages"`)
	})
	t.Run("X30 the text of a slow send stays with its room, and there is one", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "aside")
		ann.visit("slow")
		node.Proxy.Mute()
		ann.says("slowly")
		chattest.Until(t, "it is stored", func() bool { return len(node.Stream("slow")) == 1 })
		ann.Do(`location.hash = "aside"`)
		ann.sees(`document.getElementById("title").textContent === "aside" && look.pending() === 0 && document.getElementById("text").value === ""`)
		ann.types("for the other room")
		ann.Do(`location.hash = "slow"`)
		ann.sees(`document.getElementById("title").textContent === "slow" && look.pending() === 1 && document.getElementById("text").value === ""`)
		node.Proxy.Cut()
		ann.sees(`look.pending() === 0 && look.count("slowly") === 1`)
		ann.visit("aside")
		ann.sees(`document.getElementById("text").value === "for the other room"`)
		if lines := node.Stream("slow"); len(lines) != 1 {
			t.Errorf("%d lines", len(lines))
		}
	})
	t.Run("X30 what a tab that was killed had not sent is sent by the next one, once", func(t *testing.T) {
		keeper := enter(t, browser, node, "ann", "kept") // the browser goes on
		ann := keeper.again("killed tab")
		ann.types("and a draft")
		ann.visit("kept")
		ann.visit("killed tab")
		node.Proxy.Mute()
		ann.says("on its way")
		chattest.Until(t, "it is stored", func() bool { return len(node.Stream("killed tab")) == 1 })
		node.Proxy.Refuse(true)
		ann.sees(`look.pending() === 1`)
		ann.says("not on its way")
		ann.sees(`look.pending() === 2`)
		ann.types("and a draft")
		ann.Close()
		chattest.Until(t, "the tab is gone", func() bool { return keeper.locks(" outbox ") == 1 })
		node.Proxy.Refuse(false)
		next := keeper.again("killed tab")
		next.sees(`look.count("on its way") === 1 && look.count("not on its way") === 1 && look.pending() === 0 && document.getElementById("text").value === "and a draft"`)
		if lines := node.Stream("killed tab"); len(lines) != 2 {
			t.Errorf("%d lines", len(lines))
		}
		next.sees(`!Object.keys(localStorage).some((key) => / outbox /.test(key))`)
	})
	t.Run("X30 the last tab that writes a draft has it, and says so in the other", func(t *testing.T) {
		first := enter(t, browser, node, "ann", "shared draft")
		first.types("from the first")
		second := first.again("shared draft")
		second.sees(`document.getElementById("text").value === "from the first"`)
		second.types("from the second")
		first.sees(`document.getElementById("text").value === "from the second" && !document.getElementById("elsewhere").hidden`)
		second.types("from the second, longer")
		first.sees(`document.getElementById("text").value === "from the second, longer"`)
		first.Do(`document.getElementById("undo").click()`)
		first.sees(`document.getElementById("text").value === "from the first" && document.getElementById("elsewhere").hidden`)
		second.sees(`document.getElementById("text").value === "from the first"`)
	})
	t.Run("X30 a room that may not be seen keeps its draft", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "closed:room")
		ann.sees(`!document.getElementById("trouble").hidden`)
		ann.types("a draft all the same")
		ann.visit("open")
		ann.Do(`location.hash = "closed:room"`)
		ann.sees(`!document.getElementById("trouble").hidden && document.getElementById("text").value === "a draft all the same"`)
	})
	t.Run("X32 one notification for several tabs, and none where a tab shows the room", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "told")
		tabs := []*person{ann, ann.again("told"), ann.again("told")}
		visible := ann.again("elsewhere")
		for _, p := range append(tabs, visible) {
			p.Do(`globalThis.asked = 0;
				globalThis.told = [];
				globalThis.Notification = class {
					static permission = "default";
					static async requestPermission() { asked++; return (Notification.permission = "granted"); }
					constructor(title, options) { told.push([title, options.body, options.tag]); }
					close() {}
				}`)
		}
		told := func() (all [][]string) {
			for _, p := range tabs {
				var some [][]string
				p.Get(`told`, &some)
				all = append(all, some...)
			}
			return all
		}
		for _, p := range tabs {
			p.Do(`look.hide()`)
		}
		chattest.Until(t, "the tabs know that nobody shows it", func() bool { return visible.locks("shows told") == 0 })
		node.Say("bob", "told", "nobody was asked yet")
		for _, p := range tabs {
			p.sees(`look.shows("nobody was asked yet") && asked === 0 && told.length === 0`)
			p.Do(`document.getElementById("notify").click()`)
			p.sees(`asked === 1 && document.getElementById("notify").ariaPressed === "true"`)
		}
		node.Say("bob", "told", "<b>one</b>")
		chattest.Until(t, "a notification", func() bool { return len(told()) > 0 })
		tabs[1].says("own, from a tab")
		for _, p := range tabs {
			p.sees(`look.shows("own, from a tab")`)
		}
		node.Proxy.Refuse(true)
		for _, p := range tabs {
			p.sees(`look.state().state !== "connected"`)
		}
		node.Say("bob", "told", chattest.Count("recovered", 300)...)
		node.Proxy.Refuse(false)
		for _, p := range tabs {
			p.sees(`look.shows("recovered 299")`)
		}
		visible.sees(`look.state().state === "connected"`)
		visible.visit("told")
		chattest.Until(t, "the tabs know who shows it", func() bool { return visible.locks("shows told") == 1 })
		node.Say("bob", "told", "somebody sees it")
		for _, p := range append(tabs, visible) {
			p.sees(`look.shows("somebody sees it")`)
		}
		visible.visit("elsewhere")
		chattest.Until(t, "the tabs know that nobody shows it", func() bool { return visible.locks("shows told") == 0 })
		node.Say("bob", "told", "two")
		chattest.Until(t, "another notification", func() bool { return len(told()) > 1 })
		for _, p := range tabs {
			p.sees(`look.shows("two")`)
			p.Do(`Notification.permission = "denied"`)
		}
		node.Say("bob", "told", "denied")
		for _, p := range tabs {
			p.sees(`look.shows("denied") && asked === 1`)
		}
		got := told()
		slices.SortFunc(got, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
		if len(got) != 2 || got[0][1] != "<b>one</b>" || got[1][1] != "two" || got[0][0] != "bob in #told" {
			t.Errorf("notifications: %q", got)
		}
	})
}
