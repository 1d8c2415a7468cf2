package page_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
)

// formatted are texts as people type them, with how they are drawn: as elements, in short.
var formatted = []struct{ text, drawn string }{
	{"*bold* **bold** _italic_ ~struck~ *_both_*", "strong strong em del strong em"},
	{"> quoted *well*\n> by bob\nand answered", "blockquote strong"},
	{"Bring:\n- bread\n- _fresh_ butter\nThanks", "ul li li em"},
	{"Run `make run`:\n```sh\nmake build\n  make run\n```\nand look", "code pre"},
	{"a snake_case_name, 2*3*4, ~5 of ~6, *.js and *.css, `*not bold*`, https://a.test/_x_*y", "code a"},
	{"<b>*bold*</b> _<img src=x onerror=alert(1)>_", "strong em"},
}

// X28: a text is drawn as it is meant, what is selected and copied is what was typed, and
// what only wants to cost time is text.
func TestTextIsFormatted(t *testing.T) {
	browser, node := chattest.StartBrowser(t), chattest.StartNode(t, nil)
	for _, f := range formatted {
		node.Say("bob", "format", f.text)
	}
	hostile := []string{strings.Repeat("*", 4096), strings.Repeat("*a_~", 1024), strings.Repeat("> ", 2048), strings.Repeat("- *\n", 1024) + "- end", strings.Repeat("`", 4096)}
	node.Say("bob", "hostile", hostile...)
	ann := enter(t, browser, node, "ann", "format")
	ann.sees(fmt.Sprintf(`look.lines().length === %d`, len(formatted)))
	for i, f := range formatted {
		text := fmt.Sprintf(`look.lines()[%d].querySelector(".text")`, i)
		ann.sees(`[...` + text + `.querySelectorAll(":not(.sign)")].map(({ localName }) => localName).join(" ") === ` + quote(f.drawn))
		ann.Do(`getSelection().selectAllChildren(` + text + `)`)
		ann.Wait(`String(getSelection()) === `+quote(f.text), `String(getSelection())`)
	}
	ann.Do(`getSelection().empty()`)
	ann.sees(`document.querySelectorAll("#list :is(img, b)").length === 0`)
	// What a screen reader says has no signs.
	ann.sees(`look.lines()[0].ariaLabel.endsWith(": bold bold italic struck both") && [...document.querySelectorAll(".sign, .avatar")].every((e) => e.ariaHidden === "true")`)
	ann.visit("hostile")
	ann.Run(chromedp.EmulateViewport(1200, 8000)) // all of it is drawn
	for i, text := range hostile {
		ann.sees(fmt.Sprintf(`look.texts()[%d] === %s`, i, quote(text)))
	}
}
