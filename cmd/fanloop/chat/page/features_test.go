package page_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
)

// What people do with rooms and messages besides talking.
func TestFeaturesInChromium(t *testing.T) {
	browser, node := chattest.StartBrowser(t), chattest.StartNode(t, nil)
	const notes = `globalThis.told = [];
		globalThis.Notification = class {
			static permission = "granted";
			constructor(title, options) { told.push(title + ": " + options.body); }
			close() {}
		}`
	const order = `[...document.querySelectorAll("#rooms .name")].map((name) => name.textContent).join()`

	t.Run("a mention stands out, on the screen and in other rooms", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "here")
		ann.visit("there")
		node.Say("bob", "here", "before")
		ann.visit("here")
		ann.sees(`look.shows("before") && look.end()`)
		ann.visit("there")
		ann.Do(notes)
		node.Say("bob", "there", "look, @Ann!", "@anna is another")
		ann.sees(`look.shows("look, ")?.matches(".mentioned") && look.shows("look, ").querySelector("mark").textContent === "@Ann"`)
		ann.sees(`look.shows("@anna") && !look.shows("@anna").matches(".mentioned") && !document.querySelector(".badge.at")`)
		node.Say("bob", "here", "in the other room, @ann")
		ann.sees(`document.querySelector("#rooms .badge.at") && look.unread("here") !== "" && told.length === 1 && told[0].startsWith("bob in #here: in the other room, @ann")`)
		ann.visit("here")
		ann.sees(`look.shows("in the other room") && !document.querySelector(".badge.at")`)
	})
	t.Run("a muted room is quiet but for mentions, also after a reload", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "loud")
		node.Say("bob", "loud", "before")
		ann.sees(`look.shows("before") && look.end()`)
		ann.Do(`document.getElementById("mute").click()`)
		ann.visit("calm")
		ann.reload()
		ann.Do(notes)
		ann.sees(`document.querySelector("#rooms .muted .name").textContent === "loud"`)
		node.Say("bob", "loud", "so much")
		ann.sees(`look.unread("loud") !== "" && !document.title.startsWith("(")`)
		node.Say("bob", "loud", "and @ann too")
		ann.sees(`told.length === 1 && told[0].startsWith("bob in #loud: and @ann too")`)
	})
	t.Run("rooms are in the order of what came last, and can be left", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "one")
		for _, room := range []string{"two", "three"} {
			ann.visit(room)
		}
		for _, room := range []string{"one", "two", "three"} {
			node.Say("bob", room, "read")
			ann.visit(room)
			ann.sees(`look.shows("read")`)
		}
		node.Say("bob", "one", "news")
		ann.Wait(`look.unread("one") !== "" && `+order+` === "one,three,two"`, `[...document.querySelectorAll("#rooms a")].map((a) => a.textContent).join()`, `localStorage["fanloop \"ann\" rooms"]`)
		ann.visit("two")
		ann.Do(`document.getElementById("leave").click()`)
		ann.sees(order + ` === "one,three" && document.getElementById("title").textContent !== "two"`)
		ann.reload()
		ann.sees(order + ` === "one,three"`)
	})
	t.Run("any emoji is a reaction", func(t *testing.T) {
		ann, bea := enter(t, browser, node, "ann", "emoji"), enter(t, browser, node, "bea", "emoji")
		ann.says("ready?")
		bea.sees(`look.shows("ready?") && !performance.getEntriesByName(location.origin + "/emoji.js").length`)
		bea.act("ready?", "More reactions")
		bea.sees(`document.querySelector(".emoji:popover-open button") === document.activeElement`)
		bea.Do(`[...document.querySelectorAll(".emoji button")].find((b) => b.textContent === "🦄").click()`)
		ann.sees(`look.shows("ready?").querySelector(".reaction")?.textContent === "🦄1"`)
		bea.sees(`!document.querySelector(".emoji:popover-open")`)
	})
	t.Run("an emoji, a mark and a quote come into the text that is being written", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "writing")
		node.Say("bob", "writing", "one *two*\n- three")
		ann.sees(`look.shows("one") && !performance.getEntriesByName(location.origin + "/complete.js").length`)
		ann.types("hello world")
		ann.Do(`const field = document.getElementById("text");
			field.focus();
			field.setSelectionRange(6, 11);
			if (field.dispatchEvent(new KeyboardEvent("keydown", { key: "b", ctrlKey: true, bubbles: true, cancelable: true }))) throw new Error("the browser has the key too");
			if (field.value !== "hello *world*" || field.selectionStart !== 7 || field.selectionEnd !== 12) throw new Error(field.value);
			document.execCommand("undo");
			if (field.value !== "hello world") throw new Error("undone: " + field.value);
			field.setSelectionRange(11, 11);
			document.getElementById("emoji").click()`)
		ann.sees(`document.querySelector(".emoji:popover-open")`)
		ann.Do(`[...document.querySelectorAll(".emoji button")].find((b) => b.textContent === "🦄").click()`)
		ann.sees(`document.getElementById("text").value === "hello world🦄" && document.activeElement.id === "text"`)
		ann.act("one", "Quote")
		ann.sees(`document.getElementById("text").value === "hello world🦄\n> one two\n> three\n@bob "`)
		ann.Do(`document.getElementById("composer").requestSubmit()`)
		ann.sees(`look.lines()[1]?.querySelector("blockquote")?.textContent === "> one two\n> three\n"`)
	})
	t.Run("X25 names are completed while @ is typed, and keys of an input method are its own", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "complete")
		node.Say("Bo Chen", "complete", "one")
		node.Say("bea", "complete", "two")
		ann.sees(`look.shows("one") && look.shows("two")`)
		ann.Do(`const field = document.getElementById("text");
			let clock = 1e6; // of the events: a slow machine has no part in it
			globalThis.key = (key, more) => {
				const event = new KeyboardEvent("keydown", { key, cancelable: true, ...more });
				Object.defineProperty(event, "timeStamp", { value: (clock += 1000) });
				field.dispatchEvent(event);
				return event.defaultPrevented;
			};
			globalThis.write = (text) => { field.focus(); field.value = text; field.setSelectionRange(text.length, text.length); field.dispatchEvent(new Event("input")); };
			globalThis.list = () => [...document.querySelectorAll("#names:not([hidden]) [role=option]")].map((one) => (one.ariaSelected === "true" ? "> " : "") + one.lastChild.textContent).join();
			globalThis.is = (names, text) => { if (list() !== names || field.value !== text) throw new Error(list() + " | " + field.value); };
			write("hi @b")`)
		ann.sees(`list() !== ""`) // what completes is loaded when something is typed
		ann.Do(`const field = document.getElementById("text");
			is("> bea,Bo Chen", "hi @b");
			for (const more of [{ isComposing: true }, { keyCode: 229 }]) for (const name of ["Enter", "Tab", "ArrowUp", "ArrowDown", "Escape"]) if (key(name, more)) throw new Error(name + " was taken");
			is("> bea,Bo Chen", "hi @b");
			if (field.role !== "combobox" || field.getAttribute("aria-expanded") !== "true" || document.getElementById(field.getAttribute("aria-controls")).role !== "listbox") throw new Error("roles");
			key("ArrowDown");
			is("bea,> Bo Chen", "hi @b");
			if (document.getElementById(field.getAttribute("aria-activedescendant")).ariaSelected !== "true") throw new Error("active");
			key("ArrowDown");
			is("> bea,Bo Chen", "hi @b");
			key("Escape");
			is("", "hi @b");
			if (field.role || field.hasAttribute("aria-expanded") || field.hasAttribute("aria-activedescendant")) throw new Error("roles stay");
			write("@c");
			is("> Bo Chen", "@c");
			key("Tab");
			is("", "@Bo Chen ");
			if (key("Tab")) throw new Error("Tab is the page's again");
			write("@b");
			document.querySelector("#names li").click();
			is("", "@bea ");
			write("@bea and @bo");
			key("Enter");
			is("", "@bea and @Bo Chen ");
			field.setSelectionRange(2, 2); // back into the first one
			write("@bea");
			is("", "@bea");
			key("Enter")`)
		ann.sees(`look.count("@bea") === 1 && look.pending() === 0 && document.getElementById("text").value === ""`)
	})
	t.Run("the last own message says who has read it, also after a reload", func(t *testing.T) {
		ann, bea := enter(t, browser, node, "ann", "seen"), enter(t, browser, node, "bea", "seen")
		ann.says("ready?")
		ann.sees(`look.seen() === "ready?: Seen by bea"`)
		bea.sees(`look.shows("ready?") && look.seen() === ""`)
		bea.Do(`look.hide()`)
		ann.says("and now?")
		bea.sees(`look.shows("and now?")`)
		ann.sees(`look.shows("and now?") && look.seen() === ""`)
		bea.Do(`look.hide(false)`)
		ann.sees(`look.seen() === "and now?: Seen by bea"`)
		ann.reload()
		ann.sees(`look.seen() === "and now?: Seen by bea"`)
	})
	t.Run("X22 who has read comes and goes without moving a line", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "seen faces")
		ann.says("a line that is long enough to break where the window is narrow, however little room there is beside it")
		ann.sees(`look.pending() === 0 && look.shows("a line")`)
		const shape = `JSON.stringify(look.lines().map((line) => [line.querySelector(".body").getBoundingClientRect(), line.querySelector(".text").getBoundingClientRect()]))`
		for _, width := range []int64{1200, 390} {
			ann.Run(chromedp.EmulateViewport(width, 800))
			ann.Do(`await look.settled(); globalThis.before = ` + shape)
			readers := []*person{}
			for _, name := range []string{"bea", "cy", "dan", "eve"} {
				readers = append(readers, enter(t, browser, node, fmt.Sprint(name, width), "seen faces"))
			}
			ann.sees(`look.lines().at(-1).querySelectorAll(".seen .avatar").length === 2 && /^\+[0-9]$/.test(document.querySelector(".seen").textContent.slice(-2))`)
			ann.Wait(`before === `+shape, `before`, shape)
			for _, p := range readers {
				p.Close()
			}
		}
	})
	t.Run("a room is searched as far back as the user asks", func(t *testing.T) {
		node.Say("bob", "search", append([]string{"the needle, long ago"}, chattest.Count("hay", 400)...)...)
		node.Say("cy", "search", "another needle")
		ann := enter(t, browser, node, "ann", "search")
		ann.sees(`look.shows("another needle") && look.end() && !performance.getEntriesByName(location.origin + "/search.js").length`)
		ann.Do(`document.getElementById("search").click()`)
		ann.sees(`document.querySelector(".search[open] input") === document.activeElement`)
		ann.Do(`const field = document.querySelector(".search input"); field.value = "NEEDLE"; field.dispatchEvent(new Event("input"))`)
		const results = `[...document.querySelectorAll(".result")].map((one) => one.lastChild.lastChild.textContent).join("|")`
		ann.sees(results + ` === "another needle" && !document.querySelector(".search .secondary").hidden`)
		ann.Do(`document.querySelector(".search .secondary").click()`)
		ann.Wait(results+` === "another needle|the needle, long ago" && /^2 of /.test(document.querySelector(".search .hint").textContent)`, results)
		ann.Do(`[...document.querySelectorAll(".result")].at(-1).click()`)
		ann.sees(`!document.querySelector(".search") && document.activeElement === look.shows("the needle") && look.holes().length === 0`)
	})
	t.Run("on a phone the actions cover nothing", func(t *testing.T) {
		node.Say("bob", "phone", chattest.Count("a line that is so long that it takes two lines of a phone", 30)...)
		ann := enter(t, browser, node, "ann", "phone")
		ann.Run(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
		ann.sees(`look.lines().length > 5`)
		ann.Do(`look.lines().at(-4).click()`)
		ann.Wait(`(() => {
			const tools = document.querySelector(".tools")?.getBoundingClientRect();
			const under = [...document.querySelectorAll("#list :is(.text, .head, .reactions)")].map((e) => e.getBoundingClientRect());
			return tools && tools.width <= 390 && under.every((r) => r.bottom <= tools.top + 1 || r.top >= tools.bottom - 1);
		})()`)
	})
}
