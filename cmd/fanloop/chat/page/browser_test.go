package page_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
)

// The page alone: what it does with a person's keys, and with what others wrote.
func TestPageInChromium(t *testing.T) {
	browser := chattest.StartBrowser(t)
	node := chattest.StartNode(t, nil)

	t.Run("X22 the line that is read stays where it is while pages come in front and lines behind", func(t *testing.T) {
		node.Say("bob", "anchor", chattest.Count("line", 400)...)
		ann := enter(t, browser, node, "ann", "anchor")
		ann.sees(`look.shows("line 399") && look.end()`)
		ann.Do(`const list = document.getElementById("list"), top = list.getBoundingClientRect().top;
			list.scrollTop = 300; // near enough to the top for a page in front
			await look.settled();
			const before = list.scrollHeight, line = look.lines().find((m) => m.getBoundingClientRect().top > top + 40), y = line.getBoundingClientRect().bottom;
			globalThis.moved = 0; // at most, in any frame
			const watch = () => (moved = Math.max(moved, line.isConnected ? Math.abs(line.getBoundingClientRect().bottom - y) : 9999), requestAnimationFrame(watch));
			watch();
			globalThis.grown = () => list.scrollHeight > before + 500`)
		node.Say("bob", "anchor", chattest.Count("behind", 20)...)
		ann.sees(`grown() && /20 new/.test(document.getElementById("jump").textContent)`)
		ann.Do(`await look.settled(); if (moved > 1) throw new Error("moved by " + moved)`)
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
	t.Run("X28 a text is text, whoever wrote it", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "corpus")
		texts := []string{"<img src=x onerror=alert(1)>", "javascript:alert(1)", "https://good@evil.test/", "</script><svg onload=alert(1)>", "https://ok.test/"}
		node.Say("<b>bob</b>", "corpus", texts...)
		ann.sees(fmt.Sprintf(`look.lines().length === %d`, len(texts)))
		ann.sees(`document.querySelectorAll("#list img, #list script, #list b, #list svg:not(.tools svg)").length === 0`)
		ann.sees(`[...document.querySelectorAll("#list a")].map((a) => a.href + a.rel).join() === "https://ok.test/noopener noreferrer"`)
	})
	t.Run("X30 a draft belongs to its room and outlives a reload", func(t *testing.T) {
		ann := enter(t, browser, node, "ann", "draft")
		ann.types("a draft")
		ann.visit("other")
		ann.sees(`document.getElementById("text").value === ""`)
		ann.visit("draft")
		ann.sees(`document.getElementById("text").value === "a draft"`)
		ann.Do(`globalThis.before = true`)
		ann.Run(chromedp.Reload())
		ann.sees(`!globalThis.before && document.getElementById("text")?.value === "a draft"`)
	})
}
