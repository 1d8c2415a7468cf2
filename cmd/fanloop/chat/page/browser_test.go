package page_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// The page alone: what it does with a person's keys, and with what others wrote.
func TestPageInChromium(t *testing.T) {
	browser := chattest.StartBrowser(t)
	node := chattest.StartNode(t, func(c *config.Config) {
		mute := c.Namespaces["default"]
		mute.Who = maps.Clone(mute.Who)
		mute.Who[rules.Publish] = rules.Nobody
		c.Namespaces["mute"] = mute
	})

	t.Run("X22 the line that is read stays where it is while pages come in front and lines behind", func(t *testing.T) {
		node.Say("bob", "anchor", chattest.Count("line", 600)...)
		// The first place has the day and the author of its first line above it, which a
		// page in front takes away.
		for _, where := range []string{"0", "300"} {
			for _, mode := range []string{"none", "auto"} {
				ann := enter(t, browser, node, "ann", "anchor")
				ann.sees(`look.end()`)
				ann.Do(`document.getElementById("list").style.overflowAnchor = ` + quote(mode))
				ann.Do(`const list = document.getElementById("list"), top = list.getBoundingClientRect().top;
					list.scrollTop = ` + where + `; // near enough to the top for a page in front
					await look.settled();
					const before = list.scrollHeight, line = look.lines().find((m) => m.getBoundingClientRect().top > top + 40), y = line.getBoundingClientRect().bottom;
					globalThis.moved = 0; // at most, in any frame
					const watch = () => (moved = Math.max(moved, line.isConnected ? Math.abs(line.getBoundingClientRect().bottom - y) : 9999), requestAnimationFrame(watch));
					watch();
					globalThis.grown = () => list.scrollHeight > before + 500`)
				node.Say("bob", "anchor", chattest.Count("behind", 20)...)
				ann.sees(`grown() && /20 new/.test(document.getElementById("jump").textContent)`)
				ann.Do(`await look.settled(); if (moved > 1) throw new Error("moved by " + moved)`)
			}
		}
	})
	t.Run("X22 who is at the end stays there while the composer grows", func(t *testing.T) {
		node.Say("bob", "end", chattest.Count("line", 60)...)
		ann := enter(t, browser, node, "ann", "end")
		ann.sees(`look.end()`)
		ann.types("1\n2\n3\n4\n5")
		ann.sees(`look.end()`)
		ann.Run(chromedp.EmulateViewport(700, 500))
		ann.sees(`look.end()`)
		node.Say("bob", "end", "a\nb\nc\nlast")
		ann.sees(`look.shows("a") && look.end()`)
	})
	t.Run("X23 what is unread is the same in all tabs, and its divider stays until the room is left", func(t *testing.T) {
		first := enter(t, browser, node, "ann", "news")
		node.Say("bob", "news", chattest.Count("read", 5)...)
		first.sees(`look.shows("read 4")`)
		first.visit("elsewhere")
		second := first.again("elsewhere")
		second.visit("news")
		second.visit("elsewhere")
		node.Say("ann", "news", chattest.Count("own", 3)...)
		node.Say("bob", "news", chattest.Count("new", 7)...)
		for _, p := range []*person{first, second} {
			p.sees(`look.unread("news") === "7"`)
		}
		second.visit("news")
		second.sees(`look.divider().label === "7 new messages" && look.divider().lines === 7`)
		first.sees(`look.unread("news") === ""`)
		second.says("my own")
		second.sees(`look.count("my own") === 1 && look.divider().label === "7 new messages"`)
		second.visit("elsewhere")
		second.visit("news")
		second.sees(`look.shows("my own") && !look.divider()`)
		second.act("read 2", "Mark unread from here")
		second.sees(`look.divider().lines === 10`)
		first.sees(`look.unread("news") === "10"`)
	})
	t.Run("X25 the Enter that ends a composition sends nothing", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "compose")
		ann.types("once")
		ann.Do(`let clock = 1e6; // of the events: a slow machine has no part in it
			const text = document.getElementById("text");
			const at = (event) => (Object.defineProperty(event, "timeStamp", {value: clock}), text.dispatchEvent(event));
			globalThis.enter = (more, later = 0) => (clock += later, at(new KeyboardEvent("keydown", {key: "Enter", cancelable: true, ...more})));
			enter({isComposing: true}); enter({keyCode: 229}); at(new CompositionEvent("compositionend")); enter({}, 5); enter({shiftKey: true}, 100)`)
		ann.sees(`document.getElementById("text").value === "once" && look.texts().length + look.pending() === 0`)
		ann.Do(`enter({isComposing: true}); enter({}, 100)`)
		ann.sees(`look.count("once") === 1 && look.pending() === 0 && document.getElementById("text").value === ""`)
	})
	t.Run("X27 what is far too long does not come in, and what is too long is not sent", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "long")
		for _, text := range []string{strings.Repeat("x", 1<<20), strings.Repeat("line\n", 20_000)} {
			ann.Do(`document.getElementById("text").focus()`)
			if _, err := chattest.Call(ann.Tab, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
				t.Fatal(err)
			}
			ann.sees(`/Too long by/.test(look.state().problem) && document.getElementById("text").value === ""`)
		}
		ann.types(strings.Repeat("y", 20_000))
		ann.sees(`/Too long by/.test(look.state().problem) && document.getElementById("send").disabled`)
		ann.Do(`document.getElementById("composer").requestSubmit()`)
		ann.reload()
		ann.sees(`document.getElementById("text").value === "" && look.lines().length === 0`)
		ann.says("short")
		ann.sees(`look.count("short") === 1 && look.pending() === 0`)
	})
	t.Run("X28 a text is text, whoever wrote it", func(t *testing.T) {
		for i, text := range corpus() {
			node.Say([]string{"<img src=x onerror=alert(1)>", "bob", "\"><script>alert(1)</script>"}[i%3], "<svg onload=alert(1)>", text)
		}
		ann := enter(t, browser, node, "<b>ann</b>", "<svg onload=alert(1)>")
		ann.Run(chromedp.EmulateViewport(1200, 8000)) // all of it is drawn
		ann.sees(fmt.Sprintf(`look.lines().length === %d`, len(corpus())))
		ann.says("<title>own</title>")
		ann.sees(`look.count("<title>own</title>") === 1 && look.pending() === 0`)
		ann.sees(`document.querySelectorAll("#list :is(img, script, iframe, object, embed, link, meta, base, style, form, title, video, audio, math, b, svg):not(.tools *)").length === 0`)
		ann.sees(`[...document.querySelectorAll("#list a")].every((a) => /^(https?|mailto):$/.test(a.protocol) && !a.username && a.rel === "noopener noreferrer")`)
		ann.sees(`document.querySelectorAll("#list a").length === 2`) // those of the corpus
		ann.sees(`document.title.startsWith("<svg onload=alert(1)>") && document.getElementById("my-name").textContent === "<b>ann</b>"`)
		ann.sees(`performance.getEntriesByType("resource").every(({ name }) => name.startsWith(location.origin))`)
	})
	t.Run("X29 lines that come leave the focus and the caret alone, and are said in few words", func(t *testing.T) {
		node.Say("bob", "quiet", chattest.Count("before", 12)...)
		ann := enter(t, browser, node, "ann", "quiet")
		ann.sees(`look.shows("before 11") && look.end()`)
		ann.types("a draft")
		ann.Do(`const field = document.getElementById("text");
			field.focus();
			field.setSelectionRange(2, 4);
			globalThis.said = [];
			new MutationObserver(() => said.push(document.getElementById("polite").textContent)).observe(document.getElementById("polite"), { childList: true, characterData: true, subtree: true });
			globalThis.began = performance.now()`)
		node.Say("bob", "quiet", chattest.Count("live", 6)...)
		ann.sees(`look.shows("live 5") && said.length > 0`)
		node.Proxy.Refuse(true)
		ann.sees(`document.getElementById("state").dataset.state !== "connected"`)
		node.Say("bob", "quiet", chattest.Count("recovered", 6)...)
		node.Proxy.Refuse(false)
		ann.sees(`look.shows("recovered 5")`)
		ann.sees(`document.activeElement.id === "text" && document.activeElement.selectionStart === 2 && document.activeElement.selectionEnd === 4 && !document.activeElement.disabled`)
		ann.sees(`said.every((text) => /^bob: live|new messages?$/.test(text)) && said.length <= 1 + (performance.now() - began) / 3000`)
	})
	t.Run("the list is read by keys, and each message has a name", func(t *testing.T) {
		node.Say("bob", "keys", chattest.Count("line", 200)...)
		ann := enter(t, browser, node, "ann", "keys")
		ann.sees(`look.end()`)
		ann.Do(`const list = document.getElementById("list");
			list.focus();
			globalThis.key = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
			globalThis.visited = [];
			for (let i = 0; i < 45; i++) { // out of the viewport
				key("ArrowUp");
				visited.push(document.activeElement.ariaLabel?.replace(/^bob, .*: /, ""));
				if (i % 10 === 0) await look.settled();
			}`)
		ann.Wait(`visited.length === 45 && visited.every((text, i) => text === "line " + (199 - i))`, `visited`)
		ann.sees(`look.lines().every((line) => line.tagName === "ARTICLE" && line.ariaLabel && Number(line.ariaPosInSet) > 0) && document.getElementById("list").role === "feed"`)
		ann.Do(`key("Escape")`)
		ann.sees(`document.activeElement.id === "text"`)
	})
	t.Run("the first load is small by the browser's own account", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "load")
		var load struct{ Requests, Bytes int }
		ann.Get(firstLoad, &load)
		t.Logf("%+v", load)
		if load.Requests < 10 || load.Requests > 30 || load.Bytes < 20_000 || load.Bytes > 60_000 {
			t.Errorf("%d requests, %d bytes", load.Requests, load.Bytes)
		}
	})
	t.Run("a message costs few layouts", func(t *testing.T) {
		node.Say("bob", "cost", chattest.Count("before", 100)...)
		ann := enter(t, browser, node, "ann", "cost")
		ann.sees(`look.shows("before 99") && look.end()`)
		layouts := func() (n float64) {
			metrics, err := chattest.Call(ann.Tab, performance.GetMetrics, cdp.Empty{})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range metrics.Metrics {
				if m.Name == "LayoutCount" {
					n = m.Value
				}
			}
			return n
		}
		if _, err := chattest.Call(ann.Tab, performance.Enable, performance.EnableParams{}); err != nil {
			t.Fatal(err)
		}
		ann.Do(`globalThis.counts = { frames: 0, drawings: 0 };
			const frame = () => (counts.frames++, requestAnimationFrame(frame));
			frame();
			new MutationObserver(() => counts.drawings++).observe(document.getElementById("list").firstChild, { childList: true })`)
		before := layouts()
		node.Say("bob", "cost", chattest.Count("line", 50)...)
		ann.sees(`look.shows("line 49") && look.end()`)
		after := layouts()
		var counts struct{ Frames, Drawings float64 }
		ann.Get(`counts`, &counts)
		// A browser lays out once in a frame by itself; what is more was forced.
		if forced := after - before - counts.Frames; forced > 4*counts.Drawings {
			t.Errorf("%v forced layouts of %v drawings", forced, counts.Drawings)
		}
	})
	t.Run("X30 a draft belongs to its room and outlives a reload", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "draft")
		ann.types("a draft")
		ann.visit("other")
		ann.sees(`document.getElementById("text").value === ""`)
		ann.visit("draft")
		ann.sees(`document.getElementById("text").value === "a draft"`)
		ann.reload()
		ann.sees(`document.getElementById("text").value === "a draft"`)
	})
	t.Run("X30 what is refused is kept, and can be written anew", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "mute:room")
		ann.says("nobody may write here")
		ann.sees(`/Not sent: you may not write here/.test(document.querySelector(".delivery.bad")?.textContent)`)
		ann.Do(`[...document.querySelectorAll(".delivery button")].find((b) => b.textContent === "Edit").click()`)
		ann.sees(`look.pending() === 0 && document.getElementById("text").value === "nobody may write here"`)
		ann.reload()
		ann.sees(`document.getElementById("text").value === "nobody may write here"`)
	})
	t.Run("a room that there is not says so", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "nowhere:room")
		const listed = `[...document.querySelectorAll("#rooms .name")].some((name) => name.textContent === "nowhere:room")`
		ann.sees(`document.getElementById("trouble-text").textContent === "There is no such room." && !document.getElementById("trouble").hidden && ` + listed)
		ann.visit("somewhere")
		ann.sees(`document.getElementById("trouble").hidden && !` + listed)
		ann.reload()
		ann.sees(`!` + listed)
		// One that there was before may come back, so the user removes it.
		ann.Do(`const key = 'fanloop "ann" rooms';
			localStorage.setItem(key, JSON.stringify([...JSON.parse(localStorage.getItem(key)), { name: "nowhere:room", at: 1, muted: false }]))`)
		ann.reload()
		ann.sees(listed)
		ann.visit("nowhere:room")
		ann.sees(`!document.getElementById("remove").hidden`)
		ann.Do(`document.getElementById("remove").click()`)
		ann.sees(`document.getElementById("title").textContent === "somewhere" && document.getElementById("trouble").hidden && !` + listed)
	})
	t.Run("a name that the service refuses can be chosen anew", func(t *testing.T) {
		tab := browser.Open(t, node.Page("names"))
		p := &person{tab, t, node, "a\u200bb"}
		const asked = `document.getElementById("signin")?.open && !document.getElementById("signin-problem").hidden`
		for _, name := range []string{p.name, "c\u2066d"} {
			p.Wait(`document.getElementById("signin")?.open`)
			p.Do(`document.getElementById("signin-name").value = ` + quote(name) + `; document.getElementById("signin-form").requestSubmit()`)
			p.Wait(asked+` && document.getElementById("signin-name").value === `+quote(name), `document.body.innerText`)
		}
		p.Do(`document.getElementById("signin-name").value = "ann"; document.getElementById("signin-form").requestSubmit()`)
		p.ready()
		p.sees(`document.getElementById("my-name").textContent === "ann"`)
	})
}

// corpus are texts that want to be more than a text. Two of them have a link.
func corpus() []string {
	texts := []string{
		"https://ok.test/", "<https://ok.test/path?a=<b>>", "//evil.test", "https://good@evil.test/", "https://user:secret@evil.test/",
		"https://e.test/\u202egnp.exe", "https://e\u200b.test/", "file:///etc/passwd", "ftp://x.test/", "http://", "https://[",
		"&#106;avascript:alert(1)", "`<img src=x onerror=alert(1)>`", "```\n<script>alert(1)</script>\n```", "${alert(1)}", "{{alert(1)}}",
	}
	for _, scheme := range []string{"javascript:", "JavaScript:", "java\tscript:", "java\nscript:", " javascript:", "data:text/html,", "vbscript:", "view-source:", "blob:", "about:"} {
		texts = append(texts, scheme+"alert(1)", "<a href=\""+scheme+"alert(1)\">x</a>")
	}
	for _, tag := range []string{"img src=x", "svg", "body", "video src=x", "audio src=x", "input autofocus", "details open", "marquee", "iframe src=//trap.test", "object data=//trap.test", "embed src=//trap.test", "link rel=stylesheet href=//trap.test", "meta http-equiv=refresh content=0;//trap.test", "base href=//trap.test", "form action=//trap.test", "math", "style", "title"} {
		texts = append(texts, "<"+tag+" onload=alert(1) onerror=alert(1) onfocus=alert(1) ontoggle=alert(1)>")
	}
	return append(texts, "</script><script>alert(1)</script>", "</title><script>alert(1)</script>", "<!--<img src=x onerror=alert(1)>-->", "]]><script>alert(1)</script>", "<scr<script>ipt>alert(1)</script>")
}
