package page_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
)

func TestMain(m *testing.M) { chattest.Main(m) }

// look.js is what the tests ask a page.
//
//go:embed test/look.js
var look string

// person is somebody in front of the page.
type person struct {
	*chattest.Tab
	t    *testing.T
	node *chattest.Node
	name string
}

// enter opens a room in a browser of its own, and signs in.
func enter(t *testing.T, b *chattest.Browser, n *chattest.Node, name, room string) *person {
	t.Helper()
	p := &person{b.Open(t, n.Page(url.PathEscape(room))), t, n, name}
	p.signIn()
	return p
}

// again opens another tab of the same person.
func (p *person) again(room string) *person {
	p.t.Helper()
	other := &person{p.Again(p.t, p.node.Page(url.PathEscape(room))), p.t, p.node, p.name}
	other.signIn()
	return other
}

func (p *person) signIn() {
	p.t.Helper()
	p.Run(chromedp.EmulateViewport(1200, 800))
	yes := emulation.SetFocusEmulationEnabledParams{Enabled: true} // windows of one browser take the focus from each other
	if _, err := chattest.Call(p.Tab, emulation.SetFocusEmulationEnabled, yes); err != nil {
		p.t.Fatal(err)
	}
	p.Wait(`document.getElementById("signin")?.open`)
	p.Do(`document.getElementById("signin-name").value = ` + quote(p.name) + `; document.getElementById("signin-form").requestSubmit()`)
	p.ready()
}

// ready waits until the room is there.
func (p *person) ready() {
	p.t.Helper()
	p.Wait(`document.getElementById("state")?.dataset.state === "connected" && document.getElementById("list").ariaBusy === "false"`,
		`document.body.innerText`, `document.getElementById("state")?.dataset.state`, `document.getElementById("list")?.ariaBusy`)
	p.Do(look)
}

// visit goes to another room.
func (p *person) visit(room string) {
	p.t.Helper()
	p.Do(`location.hash = encodeURIComponent(` + quote(room) + `)`)
	p.Wait(`document.getElementById("title").textContent === ` + quote(room) + ` && document.getElementById("list").ariaBusy === "false"`)
}

// typesUntil writes and goes on typing until another person sees something: that somebody
// types is said for a few seconds only.
func (p *person) typesUntil(text string, other *person, condition string) {
	p.t.Helper()
	p.types(text)
	p.Do(`globalThis.typist = setInterval(() => document.getElementById("text").dispatchEvent(new Event("input")), 200)`)
	other.sees(condition)
	p.Do(`clearInterval(typist)`)
}

// locks counts the locks that tabs of the person hold, by a part of their names.
func (p *person) locks(part string) (n int) {
	p.t.Helper()
	p.Get(`navigator.locks.query().then(({ held }) => held.filter(({ name }) => name.includes(`+quote(part)+`)).length)`, &n)
	return n
}

// says writes into the composer and sends.
func (p *person) says(text string) {
	p.t.Helper()
	p.types(text)
	p.Do(`document.getElementById("composer").requestSubmit()`)
}

// act chooses an action at a line.
func (p *person) act(line, action string) {
	p.t.Helper()
	p.Do(`look.shows(` + quote(line) + `).dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
		document.querySelector('.tools [aria-label=' + ` + quote(quote(action)) + ` + ']').click()`)
}

// reload loads the page anew.
func (p *person) reload() {
	p.t.Helper()
	p.Run(chromedp.Reload())
	p.Wait(`!globalThis.look`)
	p.ready()
}

func (p *person) types(text string) {
	p.t.Helper()
	p.Do(`const field = document.getElementById("text"); field.value = ` + quote(text) + `; field.dispatchEvent(new Event("input"))`)
}

// sees waits until a condition of look.js holds.
func (p *person) sees(condition string) {
	p.t.Helper()
	p.Wait(condition, "look.texts()", "look.state()")
}

// readsTheStream is the oracle: from the end to the beginning, the page shows each line
// of the room once and in order, without a gap or a jump, and so it does on the way back.
func (p *person) readsTheStream(room string) {
	p.t.Helper()
	var want []string
	for _, line := range p.node.Stream(room) {
		if line.Kind == "" {
			want = append(want, line.ID+" "+line.Offset)
		}
	}
	last := want[max(0, len(want)-10):] // a page that comes back has the others before these
	p.Wait(fmt.Sprintf(`look.tail(%d) === %s`, len(last), quote(strings.Join(last, ","))))
	for _, way := range []string{"up", "down"} {
		var got struct {
			Keys   []string
			Faults []string
		}
		p.Get(`look.read(`+quote(way)+`)`, &got)
		for _, fault := range got.Faults {
			p.t.Errorf("%s, %s: %s", p.name, way, fault)
		}
		compare(p.t, p.name+", "+way, got.Keys, want)
	}
}

func compare(t *testing.T, who string, got, want []string) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s: line %d is %s, want %s", who, i, got[i], want[i])
			return
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d lines, want %d", who, len(got), len(want))
	}
}

func quote(text string) string {
	quoted, _ := json.Marshal(text) // a string
	return string(quoted)
}
