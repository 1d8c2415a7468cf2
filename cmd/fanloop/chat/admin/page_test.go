package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// X28: an operator sees names as they are, and none of them runs. The page has no other
// origin, keeps no key, and shows nothing to who has none.
func TestPageShowsNamesAsText(t *testing.T) {
	const name = `<img src=x onerror="document.title='caught'">`
	browser := chattest.StartBrowser(t)
	s, ctx := start(t, nil)
	h := handlerOf(s, operatorKey)
	server := httptest.NewServer(h)
	t.Cleanup(func() { h.End(); server.Close() })
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
	page.Wait(`document.querySelectorAll("#topics tr").length === 2`, `document.getElementById("topics").innerHTML`)
	page.Wait(`[...document.querySelectorAll("#topics td")].some((td) => td.textContent.startsWith("<img src=x"))`)
	page.Wait(`document.querySelectorAll("#nodes tr td").length === 6 && document.querySelector("#nodes").textContent.includes("ready")`)
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
	// A click on a name traces it, and events show names as text too.
	page.Do(`document.querySelector("#talkers button").click()`)
	page.Wait(`document.getElementById("trace-name").value.startsWith("<img src=x") && document.getElementById("trace-end").hidden === false`)
	for i := 0; ; i++ { // until the trace has begun
		c := &protocol.Publish{Topic: "lobby", ID: fmt.Sprint("t", i), Data: protocol.Data(`"a-text-of-a-message"`)}
		if _, err := s.Publish(ctx, name, "", c); err != nil {
			t.Fatal(err)
		}
		var shown bool
		page.Get(`[...document.querySelectorAll("#events tr")].some((tr) => tr.textContent.includes("publish<img src=x"))`, &shown)
		if shown {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("no event is shown")
		}
	}
	page.Wait(`!document.body.textContent.includes("a-text-of-a-message")`)
	var found string
	page.Get(`JSON.stringify([document.title, document.images.length, document.cookie, localStorage.length + sessionStorage.length, location.search])`, &found)
	if found != `["fanloop chat: operator",0,"",0,""]` {
		t.Error(found)
	}
}

// TestPictures writes what the page looks like on a busy node into the folder
// FANLOOP_PICTURES, for people.
func TestPictures(t *testing.T) {
	folder := os.Getenv("FANLOOP_PICTURES")
	if folder == "" {
		t.Skip("FANLOOP_PICTURES is not set")
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Hook, Token, ID string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || strings.HasSuffix(q.ID, "7") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"allow": !strings.HasSuffix(q.ID, "3"), "user": q.Token, "data": nil})
	}))
	defer backend.Close()
	s, ctx := start(t, func(c *config.Config) {
		hook := config.Hook{URL: backend.URL, Secrets: []config.Secret{config.NewSecret(operatorKey)}, Failures: 1000}
		publish := hook
		c.Hooks.Connect, c.Hooks.Publish, c.Name = &hook, &publish, "node1"
	})
	h := handlerOf(s, "")
	server := httptest.NewServer(h)
	defer func() { h.End(); server.Close() }()
	topics := []string{"general", "random", "support", "engineering", "design", "weekend-hikes", "sales-emea", "release-2026-11", "on-call", "books", "ask-anything", "a-room-with-a-name-that-is-far-too-long-for-a-column"}
	var all []*user
	for i := range 24 {
		name := []string{"ann", "bob", "chao", "dana", "emre", "fatima"}[i%6] + fmt.Sprint(i)
		all = append(all, enterAs(t, ctx, s, &protocol.Connect{Ref: 1, Version: protocol.Version, Token: name}, topics[:1+i%len(topics)]...))
	}
	page := chattest.StartBrowser(t).Open(t, server.URL+"/admin")
	page.Do(`document.getElementById("trace-name").value = "general"; document.getElementById("trace-kind").value = "topic"; document.getElementById("trace-begin").click()`)
	for i := range 1200 {
		u := all[(i*i)%len(all)]
		u.send(&protocol.Publish{Topic: topics[(i*7)%(1+(i*i)%len(all)%len(topics))], ID: fmt.Sprint("p", i), Data: protocol.Data(`"hello"`)})
		time.Sleep(10 * time.Millisecond)
	}
	page.Wait(`document.querySelectorAll("#talkers tr").length > 3 && document.querySelectorAll("#events tr").length > 10`)
	for _, scheme := range []string{"light", "dark"} {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
		if _, err := chattest.Call(page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
			t.Fatal(err)
		}
		page.Run(chromedp.EmulateViewport(1280, 1700))
		page.Picture(filepath.Join(folder, "admin-"+scheme+".png"))
		page.Run(chromedp.EmulateViewport(390, 2400, chromedp.EmulateScale(1), chromedp.EmulateMobile))
		page.Picture(filepath.Join(folder, "admin-phone-"+scheme+".png"))
	}
}
