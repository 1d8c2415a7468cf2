package page_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
)

// Whoever reads, selects or writes is not disturbed by what comes.
func TestReadingInChromium(t *testing.T) {
	browser, node := chattest.StartBrowser(t), chattest.StartNode(t, nil)

	t.Run("X22 a flood moves nobody who reads further up, and who is at the end stays there", func(t *testing.T) {
		const flood = 1000
		node.Say("bob", "flood", chattest.Count("before", 300)...)
		up, down := enter(t, browser, node, "ann", "flood"), enter(t, browser, node, "bea", "flood")
		down.sees(`look.end()`)
		down.Do(`globalThis.most = look.countElements()`)
		up.Do(`const list = document.getElementById("list");
			list.scrollTop = list.scrollHeight / 2;
			await look.settled();
			const top = list.getBoundingClientRect().top;
			globalThis.moved = look.watch(look.lines().find((line) => line.getBoundingClientRect().top > top + 40))`)
		node.Say("bob", "flood", chattest.Count("flood", flood)...)
		down.sees(`look.shows("flood 999") && look.end() && document.getElementById("jump").hidden`)
		up.sees(`document.getElementById("jump").textContent === "↓ 1000 new messages" && moved() <= 1`)
		down.sees(`most.rows > 10 && most.rows < 150 && most.elements < 1500`)
		down.Do(`const list = document.getElementById("list");
			for (const part of [0.75, 0.5, 0.25]) {
				list.scrollTop = part * list.scrollHeight;
				await look.settled();
			}`)
		down.sees(`look.holes().length === 0 && most.rows < 150 && most.elements < 1500`)
	})
	t.Run("of 10 000 lines few are elements, and one more makes few", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "list")
		ann.Do(`const { List } = await import("./list.js");
			globalThis.costs = async (lines) => {
				const view = document.createElement("div");
				view.className = "list";
				document.querySelector(".list-box").append(view);
				let made = 0;
				const list = new List(view, (row, old) => (made++, Object.assign(old ?? document.createElement("article"), { className: "row message", textContent: row.key })));
				const rows = Array.from({ length: lines }, (_, i) => ({ key: String(i), type: "message", version: 0, message: { text: "", reactions: new Map() } }));
				list.replace(rows);
				await look.settled();
				const at = [];
				for (const part of [1, 0.5, 0]) { // at the end, in the middle, at the top
					view.scrollTop = part * view.scrollHeight;
					await look.settled();
					const before = made;
					for (let i = 0; i < 20; i++) {
						rows.push({ key: "more " + part + " " + i, type: "message", version: 0, message: { text: "", reactions: new Map() } });
						list.update([...rows]);
					}
					at.push(made - before);
				}
				const elements = view.querySelectorAll("*").length;
				view.remove();
				return { elements, at };
			}`)
		var few, many struct {
			Elements int
			At       []int
		}
		ann.Get(`costs(100)`, &few)
		ann.Get(`costs(10000)`, &many)
		// Each of 20 lines makes itself, and a few at the edge of what is drawn. To draw all
		// anew would make more than a thousand.
		if many.Elements > 200 || max(many.At[0], few.At[0]) > 200 || many.At[1]+many.At[2] > 40 {
			t.Errorf("of 10 000: %+v, of 100: %+v", many, few)
		}
	})
	t.Run("X22 the top is reached once for each page, and what grows late moves nothing", func(t *testing.T) {
		node.Say("bob", "late", chattest.Count("line", 700)...)
		ann := enter(t, browser, node, "ann", "late")
		ann.sees(`look.end()`)
		ann.Do(`globalThis.asked = 0;
			const count = (text) => (asked += text.split('"type":"history"').length - 1);
			const { fetch } = globalThis, { send } = WebSocket.prototype; // a slow machine may have made it a stream
			globalThis.fetch = (url, init) => (count(init.body), fetch(url, init));
			WebSocket.prototype.send = function (text) {
				count(text);
				return send.call(this, text);
			};
			const list = document.getElementById("list");
			for (let pages = 1; pages <= 5; pages++) {
				list.scrollTop = 0;
				await look.settled();
				for (let i = 0; i < 5; i++) list.dispatchEvent(new Event("scroll")); // a reader who cannot wait
				while (list.ariaBusy === "true" || asked < pages) await look.settled();
				await look.settled();
				if (asked !== pages) throw new Error(asked + " pages were asked for, not " + pages);
			}
			list.scrollTop = list.scrollHeight / 2;
			await look.settled();
			const box = list.getBoundingClientRect();
			const above = look.lines().filter((line) => line.getBoundingClientRect().bottom < box.top).at(-3);
			const read = look.lines().find((line) => line.getBoundingClientRect().top > box.top + 40);
			globalThis.moved = look.watch(read);
			const before = list.scrollHeight;
			await new Promise(requestAnimationFrame); // so it is painted next
			globalThis.grow = (line) => { // as what is loaded late does
				const late = document.createElement("div");
				late.style.height = "300px";
				line.querySelector(".body").append(late);
			};
			grow(above);
			while (list.scrollHeight < before + 250) await look.settled();
			await look.settled();
			if (moved() > 1) throw new Error("moved by " + moved())`)
		ann.Do(`document.getElementById("jump").click()`)
		ann.sees(`look.end() && look.shows("line 699")`)
		ann.Do(`grow(look.shows("line 699"))`)
		ann.sees(`look.end() && look.shows("line 699").clientHeight > 300`)
	})
	t.Run("X29 what is selected stays selected and in its place, and history is not read out", func(t *testing.T) {
		node.Say("bob", "selected", chattest.Count("before", 400)...)
		ann := enter(t, browser, node, "ann", "selected")
		ann.sees(`look.end()`)
		ann.Do(`globalThis.said = look.listen();
			const line = look.shows("before 395");
			getSelection().selectAllChildren(line.querySelector(".text"));
			await look.settled();
			globalThis.moved = look.watch(line)`)
		node.Say("bob", "selected", chattest.Count("live", 100)...)
		ann.sees(`/^↓ 100 new/.test(document.getElementById("jump").textContent) && !document.getElementById("jump").hidden`)
		node.Proxy.Refuse(true)
		ann.sees(`look.state().state !== "connected"`)
		node.Say("bob", "selected", chattest.Count("recovered", 300)...)
		node.Proxy.Refuse(false)
		ann.sees(`/^↓ 400 new/.test(document.getElementById("jump").textContent)`)
		ann.sees(`getSelection().toString() === "before 395" && moved() <= 1`)
		ann.Do(`getSelection().removeAllRanges()`)
		ann.sees(`look.end() && look.shows("recovered 299")`) // on it goes
		ann.Do(`const list = document.getElementById("list");
			for (let page = 0; page < 3; page++) {
				const before = list.scrollHeight;
				list.scrollTop = 0;
				while (list.scrollHeight === before) await look.settled();
			}`)
		ann.sees(`said.length > 0 && said.every((text) => /^(bob: live|\d+ new messages?$)/.test(text)) && !said.some((text) => parseInt(text) > 100)`)
	})
	t.Run("X29 a composition goes on while lines come, and through a loss of the connection", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "ime")
		compose := func(text string) {
			at := int64(len([]rune(text)))
			if _, err := chattest.Call(ann.Tab, input.ImeSetComposition, input.ImeSetCompositionParams{Text: text, SelectionStart: at, SelectionEnd: at}); err != nil {
				t.Fatal(err)
			}
		}
		ann.Do(`const field = document.getElementById("text");
			field.focus();
			globalThis.events = [];
			for (const name of ["compositionstart", "compositionend", "blur"]) field.addEventListener(name, () => events.push(name))`)
		compose("に")
		node.Say("bob", "ime", chattest.Count("live", 100)...)
		ann.sees(`look.shows("live 99")`)
		compose("にほ")
		node.Proxy.Refuse(true)
		ann.sees(`look.state().state !== "connected"`)
		node.Say("bob", "ime", chattest.Count("recovered", 50)...)
		node.Proxy.Refuse(false)
		ann.sees(`look.shows("recovered 49")`)
		compose("にほん")
		ann.sees(`document.getElementById("text").value === "にほん" && events.join() === "compositionstart" && document.activeElement.selectionStart === 3`)
		if _, err := chattest.Call(ann.Tab, input.InsertText, input.InsertTextParams{Text: "日本"}); err != nil {
			t.Fatal(err)
		}
		ann.sees(`document.getElementById("text").value === "日本" && events.join() === "compositionstart,compositionend"`)
	})
	t.Run("nothing moves by itself for whoever wants less motion", func(t *testing.T) {
		ann, bea := enter(t, browser, node, "ann", "motion"), enter(t, browser, node, "bea", "motion")
		motion := func(want string) {
			features := []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: want}}
			if _, err := chattest.Call(ann.Tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
				t.Fatal(err)
			}
		}
		bea.typesUntil("so", ann, `look.typing() === "bea is typing" && document.getAnimations().length > 0`)
		motion("reduce")
		ann.sees(`document.getAnimations().length === 0 && [...document.querySelectorAll("*")].every((e) => getComputedStyle(e).transitionDuration === "0s" && getComputedStyle(e).scrollBehavior === "auto")`)
	})
}
