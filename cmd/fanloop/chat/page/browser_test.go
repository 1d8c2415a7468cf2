package page

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const patience = 4 * time.Minute // only against hanging

// The page in Chromium, with the service of the client's tests behind it.
func TestPageInChromium(t *testing.T) {
	browser, service := startChromium(t), startService(t)
	count := func(n int) string { return fmt.Sprintf(`document.querySelectorAll(".message").length >= %d`, n) }

	t.Run("X22 the line that is read stays where it is while pages come in front and lines behind", func(t *testing.T) {
		p := open(t, browser, service, "room:lobby")
		p.wait(count(5))
		p.do(`globalThis.seen = () => { const top = document.getElementById("list").getBoundingClientRect().top;
			return [...document.querySelectorAll(".message")].find((m) => m.getBoundingClientRect().top > top + 40) }`)
		p.do(`document.getElementById("list").scrollTop = 700`) // too far down for a page
		p.wait(`seen()?.getBoundingClientRect().top < innerHeight`)
		p.do(`document.getElementById("list").scrollTop = 300;
			const list = document.getElementById("list"), before = list.scrollHeight, line = seen(), y = line.getBoundingClientRect().bottom;
			globalThis.moved = () => Math.abs(line.getBoundingClientRect().bottom - y);
			globalThis.grown = () => list.scrollHeight > before + 500`)
		service.control(t, map[string]any{"say": "behind", "count": 20})
		p.wait(`grown() && /20 new/.test(document.getElementById("jump").textContent)`)
		p.wait(`moved() <= 1`)
	})
	t.Run("X25 the Enter that ends a composition sends nothing", func(t *testing.T) {
		p := open(t, browser, service, "room:design")
		p.wait(`document.getElementById("text").placeholder === "Message design"`)
		p.do(`const text = document.getElementById("text"); text.value = "once"; text.dispatchEvent(new Event("input"));
			let clock = 1e6; // of the events: a slow machine has no part in it
			const at = (event) => (Object.defineProperty(event, "timeStamp", {value: clock}), text.dispatchEvent(event));
			const enter = (more, later = 0) => (clock += later, at(new KeyboardEvent("keydown", {key: "Enter", cancelable: true, ...more})));
			enter({isComposing: true}); enter({keyCode: 229}); at(new CompositionEvent("compositionend")); enter({}, 5); enter({shiftKey: true}, 100);
			globalThis.kept = text.value; globalThis.enter = enter`)
		p.wait(`kept === "once" && document.querySelectorAll(".message").length === 0`)
		p.do(`enter({isComposing: true}); enter({}, 100)`)
		p.wait(`document.querySelectorAll(".message:not(.pending)").length === 1 && document.getElementById("text").value === ""`)
	})
	t.Run("X28 a text is text, whoever wrote it", func(t *testing.T) {
		p := open(t, browser, service, "room:lunch")
		for _, text := range []string{"<img src=x onerror=alert(1)>", "javascript:alert(1)", "https://good@evil.test/", "</script><svg onload=alert(1)>", "https://ok.test/"} {
			service.control(t, map[string]any{"say": text, "room": "room:lunch", "user": "<b>bob</b>"})
		}
		p.wait(count(5))
		p.wait(`document.querySelectorAll("#list img, #list script, #list b, #list svg:not(.tools svg)").length === 0`)
		p.wait(`[...document.querySelectorAll("#list a")].map((a) => a.href + a.rel).join() === "https://ok.test/noopener noreferrer"`)
	})
	t.Run("X30 a draft belongs to its room and outlives a reload", func(t *testing.T) {
		p := open(t, browser, service, "room:releases")
		p.wait(`document.getElementById("text").placeholder === "Message releases"`)
		p.do(`const text = document.getElementById("text"); text.value = "a draft"; text.dispatchEvent(new Event("input")); location.hash = "room%3Adesign"`)
		p.wait(`document.getElementById("text").placeholder === "Message design" && document.getElementById("text").value === ""`)
		p.do(`location.hash = "room%3Areleases"`)
		p.wait(`document.getElementById("text").value === "a draft"`)
		p.do(`location.reload()`)
		p.wait(`!globalThis.kept && document.getElementById("text")?.value === "a draft"`)
	})
}

type tab struct {
	t   *testing.T
	ctx context.Context
}

func open(t *testing.T, browser context.Context, s *service, room string) *tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(browser, patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.complaint); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(s.address+"/icon.svg")); err != nil {
		t.Fatal(err)
	}
	p.do(fmt.Sprintf(`sessionStorage.setItem("fanloop.user", "ann"); location.href = "/#" + encodeURIComponent(%q)`, room))
	p.wait(`document.getElementById("state")?.dataset.state === "connected"`)
	return p
}

func (p *tab) complaint(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.t.Errorf("exception in the page: %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceSecurity {
			p.t.Errorf("the browser blocked something: %s", e.Entry.Text)
		}
	}
}

func (p *tab) evaluate(script string) (value string, err error) {
	byValue := true
	_, err = chromedp.Run(p.ctx, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		answer, err := cdp.Call(ctx, target, runtime.Evaluate, runtime.EvaluateParams{Expression: "String(" + script + ")", ReturnByValue: &byValue})
		switch {
		case err != nil:
			return chromedp.Void{}, err
		case answer.ExceptionDetails != nil:
			return chromedp.Void{}, fmt.Errorf("%s", answer.ExceptionDetails.Text)
		}
		return chromedp.Void{}, json.Unmarshal(answer.Result.Value, &value)
	})
	return value, err
}

func (p *tab) do(script string) {
	p.t.Helper()
	if _, err := p.evaluate("(() => {" + script + "})()"); err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
}

func (p *tab) wait(condition string) {
	p.t.Helper()
	var value string
	var err error
	for limit := time.Now().Add(patience / 2); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		if value, err = p.evaluate(condition); value == "true" {
			return
		}
	}
	p.t.Fatalf("%s: %s %v", condition, value, err)
}

type service struct{ address string }

func startService(t *testing.T) *service {
	t.Helper()
	if _, err := os.Stat("../client/test/npm/node_modules/ws/package.json"); err != nil && os.Getenv("FANLOOP_WS") == "" {
		missing(t, "no packages in ../client/test/npm: run make interop")
	}
	command := exec.Command(program(t, "node"), "test/serve.js")
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // it ends with its input
		_ = command.Wait()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &service{address: "http://127.0.0.1:" + strings.TrimSpace(port)}
}

func (s *service) control(t *testing.T, what map[string]any) {
	t.Helper()
	body, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(s.address+"/control", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
}

func startChromium(t *testing.T) context.Context {
	t.Helper()
	path := program(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("no-proxy-server", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("%s does not start: %v", path, err)
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("%s does not stop: %v", path, err)
		}
	})
	return ctx
}

func program(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "no "+strings.Join(names, " or ")+" on PATH")
	return ""
}

func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FANLOOP_INTEROP") == "required" {
		t.Fatal(why)
	}
	t.Skip(why)
}
