package admin_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// X28: an operator sees names as they are, and none of them runs. The page has no other
// origin, keeps no key, and shows nothing to who has none.
func TestPageShowsNamesAsText(t *testing.T) {
	const name = `<img src=x onerror="document.title='caught'">`
	browser := chattest.StartBrowser(t)
	s, ctx := start(t, nil)
	server := httptest.NewServer(handlerOf(s, operatorKey))
	t.Cleanup(server.Close)
	enter(t, ctx, s, name, name, "lobby")
	enter(t, ctx, s, "bob", "lobby")

	page := browser.Open(t, server.URL+"/")
	page.Wait(`document.getElementById("sign-in").hidden === false`)
	show := func(key string) {
		page.Do(`document.getElementById("key").value = "` + key + `"; document.querySelector("#sign-in button").click()`)
	}
	show("wrong")
	page.Wait(`document.getElementById("refused").textContent !== "" && document.getElementById("view").hidden`)
	show(operatorKey)
	page.Wait(`document.querySelectorAll("#topics tr").length === 2`)
	page.Wait(`[...document.querySelectorAll("#topics td")].some((td) => td.textContent.startsWith("<img src=x"))`)
	for i := 0; ; i++ { // until it is counted in a full window
		c := &protocol.Publish{Topic: "lobby", ID: fmt.Sprint("m", i), Data: protocol.Data(`1`)}
		if _, err := s.Publish(ctx, name, "", c); err != nil {
			t.Fatal(err)
		}
		var shown bool
		page.Get(`document.querySelectorAll("#talkers tr").length > 0`, &shown)
		if shown {
			break
		}
	}
	page.Wait(`document.querySelector("#talkers td").textContent.startsWith("<img src=x")`)
	var found string
	page.Get(`JSON.stringify([document.title, document.images.length, document.cookie, localStorage.length + sessionStorage.length, location.search])`, &found)
	if found != `["fanloop chat: operator",0,"",0,""]` {
		t.Error(found)
	}
	pictures(t, page)
}

// pictures are for people, in the folder FANLOOP_PICTURES.
func pictures(t *testing.T, page *chattest.Tab) {
	t.Helper()
	folder := os.Getenv("FANLOOP_PICTURES")
	if folder == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
		if _, err := chattest.Call(page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
			t.Fatal(err)
		}
		page.Run(chromedp.EmulateViewport(1200, 800))
		page.Picture(filepath.Join(folder, "admin-"+scheme+".png"))
		page.Run(chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2), chromedp.EmulateMobile))
		page.Picture(filepath.Join(folder, "admin-phone-"+scheme+".png"))
	}
}
