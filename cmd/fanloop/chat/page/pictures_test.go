package page_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// TestPictures writes what the page looks like into the folder FANLOOP_PICTURES: make
// pictures.
func TestPictures(t *testing.T) {
	folder := os.Getenv("FANLOOP_PICTURES")
	if folder == "" {
		t.Skip("FANLOOP_PICTURES names no folder for pictures")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	picture := func(p *person, name string) {
		p.Do(`document.activeElement?.blur(); await look.settled()`)
		p.Picture(filepath.Join(folder, name+".png"))
	}
	browser, node := chattest.StartBrowser(t), chattest.StartNode(t, nil)
	converse(node)
	stranger := browser.Open(t, node.Page("lobby"))
	stranger.Run(chromedp.EmulateViewport(1200, 800))
	stranger.Wait(`document.getElementById("signin")?.open`)
	stranger.Picture(filepath.Join(folder, "signin.png"))

	stranger.Do(`document.getElementById("signin-name").value = "dora\u200b"; document.getElementById("signin-form").requestSubmit()`)
	stranger.Wait(`document.getElementById("signin").open && !document.getElementById("signin-problem").hidden`)
	stranger.Picture(filepath.Join(folder, "signin-refused.png"))
	doors(t, browser, folder)

	for _, user := range []string{"bob", "Chen Wei", "dora"} {
		enter(t, browser, node, user, "lobby")
	}
	typist := enter(t, browser, node, "Émile Zola", "lobby")
	ann := enter(t, browser, node, "ann", "lobby")
	for _, room := range []string{"engineering", "design", "releases"} {
		ann.visit(room)
	}
	picture(ann, "empty")
	ann.visit("lobby")
	node.Say("dora", "engineering", "The build is green again.", "Who has the pager?")
	typist.types("So")
	ann.sees(`look.people() === "5 people" && look.typing() !== "" && look.shows("Ship it")`)
	picture(ann, "light")
	ann.Do(`look.shows("> somebody").dispatchEvent(new PointerEvent("pointerover", { bubbles: true }))`)
	picture(ann, "actions")
	ann.act("> somebody", "More reactions")
	ann.sees(`document.querySelector(".emoji:popover-open")`)
	picture(ann, "reactions")
	ann.Do(`document.querySelector(".emoji").hidePopover(); document.getElementById("options").open = true`)
	picture(ann, "options")
	ann.Do(`document.getElementById("options").open = false; document.getElementById("people").open = true`)
	picture(ann, "people")
	ann.Do(`document.getElementById("people").open = false`)
	searches(ann, folder, "")
	ann.types("A message of\nseveral lines,\nthat is being written")
	picture(ann, "composer")
	ann.Do(`document.getElementById("text").focus(); await look.settled()`)
	ann.Picture(filepath.Join(folder, "writing.png"))
	ann.types("")
	scheme(ann, "dark")
	picture(ann, "dark")
	ann.Run(chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2), chromedp.EmulateMobile))
	ann.Do(`document.getElementById("list").dispatchEvent(new PointerEvent("pointerleave")); await new Promise((done) => setTimeout(done, 400))`)
	picture(ann, "phone-dark")
	searches(ann, folder, "phone-dark-")
	scheme(ann, "light")
	picture(ann, "phone")
	ann.Do(`look.shows("Great work").click(); await look.settled()`)
	picture(ann, "phone-actions")
	ann.Do(`document.getElementById("menu").click(); await new Promise((done) => setTimeout(done, 400))`)
	picture(ann, "phone-rooms")
	ann.Do(`document.getElementById("menu").click()`)
	ann.Run(chromedp.EmulateViewport(1200, 800))
	ann.Do(`document.getElementById("list").scrollTop = 0; await look.settled(); await look.settled()`)
	picture(ann, "history")
	ann.Do(`document.getElementById("list").scrollTop = 1e9; await look.settled()`)
	node.Proxy.Refuse(true)
	ann.says("Does this reach anybody?")
	ann.sees(`!document.getElementById("banner").hidden && look.pending() === 1`)
	picture(ann, "disconnected")
	node.Proxy.Refuse(false)
	ann.sees(`look.pending() === 0`)
	ann.Run(chromedp.EmulateViewport(700, 600))
	long := "a room whose name is longer than the list of rooms is wide, or its head"
	node.Say("somebody whose name is longer than most names", long, "Short.", "averylongwordwithoutanyplacetobreakit"+strings.Repeat("averylongwordwithoutanyplacetobreakit", 5))
	ann.visit(long)
	ann.Do(`document.getElementById("mute").click()`)
	picture(ann, "long-names")
	ann.Do(`location.hash = "nowhere:room"`)
	ann.sees(`!document.getElementById("trouble").hidden`)
	picture(ann, "trouble")
	ann.visit("lobby")
	if _, err := node.Service.Unsubscribe(t.Context(), "ann", "lobby"); err != nil {
		t.Fatal(err)
	}
	ann.sees(`!document.getElementById("trouble").hidden`)
	picture(ann, "removed")
	scheme(ann, "dark")
	ann.Run(chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2), chromedp.EmulateMobile))
	picture(ann, "removed-phone-dark")
	if _, err := node.Service.Disconnect(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	ann.sees(`!document.getElementById("banner").hidden`)
	picture(ann, "ended-phone-dark")
}

// searches are the search in a room, and the names while @ is typed.
func searches(p *person, folder, name string) {
	p.Do(`document.getElementById("search").click()`)
	p.sees(`document.querySelector(".search[open]")`)
	p.Do(`const field = document.querySelector(".search input"); field.value = "morning"; field.dispatchEvent(new Event("input")); await look.settled()`)
	p.Picture(filepath.Join(folder, name+"search.png"))
	p.Do(`document.querySelector(".search").close()
		const field = document.getElementById("text"); field.focus(); field.value = "What do you think, @"; field.dispatchEvent(new Event("input"))`)
	p.sees(`!document.getElementById("names").hidden`)
	p.Do(`await look.settled()`)
	p.Picture(filepath.Join(folder, name+"names.png"))
	p.types("")
}

// doors are what a page with accounts says to those who cannot come in.
func doors(t *testing.T, browser *chattest.Browser, folder string) {
	company := startCompany(t)
	node := chattest.StartNode(t, func(c *config.Config) {
		withKeys(company.URL + "/chat-token")(c)
		c.Page.SignInURL = company.URL + "/sign-in"
	})
	company.page.Store("http://" + node.Proxy.Addr())
	for name, address := range map[string]string{"door": node.Page(""), "door-missing": chattest.StartNode(t, withKeys("")).Page("")} {
		p := &person{Tab: browser.Open(t, address), t: t, node: node}
		p.Run(chromedp.EmulateViewport(1200, 800))
		p.Wait(`document.getElementById("door")?.open && document.getElementById("door-title").textContent !== "Signing in…"`)
		p.Picture(filepath.Join(folder, name+".png"))
		scheme(p, "dark")
		p.Run(chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2), chromedp.EmulateMobile))
		p.Picture(filepath.Join(folder, name+"-phone-dark.png"))
	}
}

func scheme(p *person, name string) {
	p.t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}
	if _, err := chattest.Call(p.Tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		p.t.Fatal(err)
	}
}

// converse fills the lobby.
func converse(node *chattest.Node) {
	for i := range 30 {
		node.Say([]string{"bob", "dora", "Chen Wei"}[i/4%3], "lobby", chattest.Count("Something that was said before, in the morning", 4)...)
	}
	for _, line := range []struct{ user, text string }{
		{"bob", "Morning! The fan-out numbers from last night are in."},
		{"bob", "p99 went from ~38 ms~ to *11 ms* with batching on:\n- same machine\n- same load"},
		{"Chen Wei", "Nice. Was that with compression or without?"},
		{"bob", "Without. I'd like to see the compressed run before we tell anybody. Notes: https://example.org/notes/fan-out?run=42."},
		{"dora", "I can start one after lunch. The command is `fanloop bench chat --seed 7`, right?"},
		{"bob", "Yes. Or all of it:\n```\nfanloop bench chat --users 10000 \\\n  --rooms 1000 --seed 7\n```"},
		{"Émile Zola", "While you are at it: the reconnect storm from Tuesday, do we know what began it? I read the logs twice and it seems that all clients came back in the same second, although the delay is random. Either the hint from the node was lost, or somebody put the same seed everywhere."},
		{"dora", "> somebody put the same seed everywhere\nSame seed. Fixed in the release of _yesterday_."},
		{"Émile Zola", "🎉"},
		{"ann", "Great work, both of you."},
		{"ann", "I'll write the release note this afternoon, then we can ship."},
		{"Chen Wei", "Ship it, @ann 🚀"},
	} {
		node.Say(line.user, "lobby", line.text)
	}
	lines := node.Stream("lobby")
	react := func(user, emoji string, back int) {
		line := lines[len(lines)-back]
		node.Publish(user, "lobby", protocol.Body{Kind: protocol.KindReact, Target: target(line), Data: protocol.Data(quote(emoji))})
	}
	react("ann", "🎉", 11)
	react("dora", "🎉", 11)
	react("Chen Wei", "👀", 11)
	react("bob", "❤️", 3)
	react("ann", "👍", 1)
}

func target(line chattest.Line) *protocol.Target {
	return &protocol.Target{Offset: line.Number, ID: line.ID}
}
