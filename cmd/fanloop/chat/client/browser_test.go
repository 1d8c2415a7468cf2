package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The client in Chromium, through a proxy that cuts. Each case has a room and
// tabs of its own, and ends with one oracle: what a tab shows is the stream.
func TestClientInChromium(t *testing.T) {
	t.Parallel()
	browser := startChromium(t)
	service := startService(t)

	t.Run("TwoTabsChatOverWebSockets", func(t *testing.T) {
		ann, bea := open(t, browser, service, "ann", "two", ""), open(t, browser, service, "bea", "two", "")
		ann.wait(`page.room.state === "subscribed" && page.client.transport === "websocket"`)
		bea.wait(`page.room.state === "subscribed"`)
		ann.do(`page.sent = page.room.publish("<img src=x> ä 😀")`)
		bea.wait(`page.shown.length === 1 && page.shown[0][2] === "<img src=x> ä 😀"`)
		ann.wait(`page.sent.state === "stored" && page.shown[0][1] === page.sent.id`)
		ann.showsTheStream()
		bea.showsTheStream()
	})
	// The first demand: the network is gone under traffic.
	t.Run("X06NetworkIsLostUnderTraffic", func(t *testing.T) {
		ann := open(t, browser, service, "ann", "lost", "")
		ann.wait(`page.room.state === "subscribed"`)
		service.say("lost", "before", 20)
		service.proxy.set(refuse)
		ann.wait(`page.client.state === "waiting"`)
		service.say("lost", "while away", 150)
		ann.do(`page.sent = page.room.publish("from the outbox")`)
		ann.wait(`page.states.filter((state) => state === "connecting").length >= 3`) // attempts fail
		service.proxy.set(pass)
		ann.do(`dispatchEvent(new Event("online"))`)
		ann.wait(`page.sent.state === "stored"`)
		ann.showsTheStream()
	})
	t.Run("X03ConnectionIsDeadInSilence", func(t *testing.T) {
		ann := open(t, browser, service, "ann", "dead", "")
		ann.wait(`page.room.state === "subscribed"`)
		service.proxy.stall()
		defer service.proxy.cut() // Chromium keeps connections for the next page
		service.say("dead", "unheard", 3)
		ann.do(`dispatchEvent(new Event("online"))`)
		ann.wait(`page.states.includes("waiting")`)
		ann.showsTheStream()
	})
	t.Run("X05BackFromTheCacheOfTheBrowser", func(t *testing.T) {
		ann := open(t, browser, service, "ann", "back", "")
		ann.wait(`page.room.state === "subscribed"`)
		ann.do(`document.getElementById("draft").value = "a draft"`)
		service.say("back", "before", 3)
		ann.wait(`page.shown.length === 3`)
		ann.run(chromedp.Navigate(service.address + "/?user=other&room=elsewhere"))
		service.connectionsOf(t, "ann", 0)
		service.say("back", "meanwhile", 5)
		ann.do(`history.back()`) // no load event follows, for which chromedp would wait
		ann.wait(`page.persisted && page.client.state === "connected"`)
		ann.showsTheStream()
		ann.wait(`document.getElementById("draft").value === "a draft"`)
		service.connectionsOf(t, "ann", 1)
	})
	t.Run("X06FrozenPageComesBackByItsResumeEvent", func(t *testing.T) {
		ann := open(t, browser, service, "ann", "frozen", "")
		ann.wait(`page.room.state === "subscribed"`)
		ann.lifecycle(cdppage.SetWebLifecycleStateStateFrozen)
		ann.wait(`page.events.includes("freeze")`)
		ann.standsStill()
		service.say("frozen", "unseen", 30)
		service.proxy.cut()
		ann.lifecycle(cdppage.SetWebLifecycleStateStateActive)
		ann.wait(`page.events.includes("freeze") && page.events.includes("resume")`)
		ann.showsTheStream()
	})
	t.Run("X10AnswerLostThenReload", func(t *testing.T) {
		ann := open(t, browser, service, "ann", "reload", "")
		ann.wait(`page.room.state === "subscribed"`)
		service.control(t, map[string]any{"swallow": true})
		ann.do(`page.room.publish("once")`)
		service.stored(t, "reload", 1)
		ann.run(chromedp.Reload())
		ann.wait(`page.client.outgoing.length === 1 || page.client.state === "connected"`)
		service.control(t, map[string]any{"swallow": false})
		ann.wait(`page.room.state === "subscribed" && page.client.outgoing.length === 0 && sessionStorage.length === 0`)
		service.stored(t, "reload", 1)
		ann.showsTheStream()
	})
	t.Run("X07TabsOfOneUser", func(t *testing.T) {
		one, two := open(t, browser, service, "ann", "tabs", "&tabs=all"), open(t, browser, service, "ann", "tabs", "&tabs=all")
		service.connectionsOf(t, "ann", 2)
		service.control(t, map[string]any{"expire": "ann"})
		for _, p := range []*tab{one, two} { // nobody used the refresh token of the other
			p.wait(`page.states.filter((state) => state === "connected").length === 2 && page.room.state === "subscribed"`)
		}
		service.proxy.set(refuse)
		two.wait(`page.client.state === "waiting"`)
		one.do(`page.client.logout()`)
		two.wait(`page.client.state === "idle"`)
		service.proxy.set(pass)
		two.do(`dispatchEvent(new Event("online"))`)
		two.wait(`page.client.state === "idle" && page.client.user === ""`)
		service.connectionsOf(t, "ann", 0)
	})
	t.Run("X41SevenTabsWithStreamsLoadAndSend", func(t *testing.T) {
		const tabs = 7 // a browser has six connections over HTTP/1.1
		for range tabs {
			ann := open(t, browser, service, "ann", "many", "&sse=only")
			ann.do(`page.sent = page.room.publish("sent")`)
			ann.wait(`page.sent.state === "stored"`)
			ann.do(`Object.defineProperty(document, "visibilityState", { value: "hidden" })`) // behind the next one
			service.until(t, "4 streams at most", func() bool { return len(service.control(t, map[string]any{}).([]any)) <= 4 })
		}
		service.stored(t, "many", tabs)
	})
	// The clock of the client goes 10 times as fast: it returns after a minute.
	t.Run("X41WebSocketBlockedThenBack", func(t *testing.T) {
		service.control(t, map[string]any{"allow": false})
		ann := open(t, browser, service, "ann", "sse", "&fast=10")
		ann.wait(`page.client.transport === "sse" && page.room.state === "subscribed"`)
		ann.do(`page.sent = page.room.publish("over SSE")`)
		service.say("sse", "to SSE", 20)
		ann.wait(`page.sent.state === "stored" && page.shown.length === 21`)
		service.control(t, map[string]any{"allow": true})
		ann.wait(`page.client.transport === "websocket" && page.client.state === "connected"`)
		service.say("sse", "to a WebSocket", 20)
		ann.showsTheStream()
	})
}

// tab is one tab with the page of the tests.
type tab struct {
	t       *testing.T
	ctx     context.Context
	service *service
	room    string
}

func open(t *testing.T, browser context.Context, s *service, user, room, more string) *tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(browser, patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx, service: s, room: room}
	if err := chromedp.Listen(ctx, p.complaint); err != nil {
		t.Fatal(err)
	}
	p.run(chromedp.Navigate(fmt.Sprintf("%s/?user=%s&room=%s%s", s.address, user, room, more)))
	p.wait("true") // its script has run
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

func (p *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// evaluate runs a script where the page is now. chromedp's own Evaluate holds
// on to the context of a page that was left, also when it comes back.
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

// wait asks until the condition is true. An answer may fail while a page is
// left for another.
func (p *tab) wait(condition string) {
	p.t.Helper()
	var err error
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		var value string
		if value, err = p.evaluate(`!!globalThis.page && (` + condition + `)`); value == "true" {
			return
		}
	}
	state, _ := p.evaluate(`JSON.stringify({...page, client: page.client?.state, room: page.room?.state, shown: page.shown?.length})`)
	p.t.Fatalf("%s: %v; %s", condition, err, state)
}

// lifecycle freezes the page or lets it go on, as a browser does to hidden tabs.
func (p *tab) lifecycle(state cdppage.SetWebLifecycleStateState) {
	p.t.Helper()
	p.run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, cdppage.SetWebLifecycleState, cdppage.SetWebLifecycleStateParams{State: state})
		return chromedp.Void{}, err
	})
}

// standsStill waits until the page runs no timers any more.
func (p *tab) standsStill() {
	p.t.Helper()
	p.service.until(p.t, "the page stands still", func() bool {
		before, _ := p.evaluate("page.ticks")
		time.Sleep(100 * time.Millisecond) // ten ticks of a page that runs
		after, err := p.evaluate("page.ticks")
		return err == nil && before == after
	})
}

// showsTheStream is the oracle: the list of (offset, id) is the stream's.
func (p *tab) showsTheStream() {
	p.t.Helper()
	want, err := json.Marshal(p.service.control(p.t, map[string]any{"stored": p.room}))
	if err != nil {
		p.t.Fatal(err)
	}
	p.wait(fmt.Sprintf(`page.shown.length >= JSON.parse(%q).length`, want))
	got, err := p.evaluate(`JSON.stringify(page.shown)`)
	if err != nil || !equalJSON([]byte(got), want) {
		p.t.Errorf("%v, the page shows\n%s\nthe stream is\n%s", err, got, want)
	}
	p.wait(`page.resets === 0`)
}

func equalJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	a, _ = json.Marshal(x)
	b, _ = json.Marshal(y)
	return bytes.Equal(a, b)
}

// service is test/serve.js behind a proxy.
type service struct {
	proxy   *proxy
	address string // of the page, through the proxy
	direct  string
}

func startService(t *testing.T) *service {
	t.Helper()
	node := program(t, "node")
	needNPM(t)
	module := filepath.Join(t.TempDir(), "fanloop.js")
	if err := os.WriteFile(module, Module(), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(node, "test/serve.js", module)
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
		command.Wait()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	target := "127.0.0.1:" + strings.TrimSpace(port)
	p := startProxy(t, target)
	return &service{proxy: p, address: "http://" + p.address(), direct: "http://" + target}
}

// control asks the service itself, not through the proxy.
func (s *service) control(t *testing.T, what map[string]any) any {
	t.Helper()
	body, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(s.direct+"/control", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func (s *service) say(room, text string, count int) {
	body, _ := json.Marshal(map[string]any{"say": text, "room": room, "count": count})
	if response, err := http.Post(s.direct+"/control", "application/json", bytes.NewReader(body)); err == nil {
		response.Body.Close()
	}
}

// connectionsOf waits until a user has so many connections.
func (s *service) connectionsOf(t *testing.T, user string, want int) {
	t.Helper()
	s.until(t, fmt.Sprintf("%s has %d connections", user, want), func() bool {
		n := 0
		for _, connection := range s.control(t, map[string]any{}).([]any) {
			if strings.HasPrefix(connection.(string), user+" ") {
				n++
			}
		}
		return n == want
	})
}

// stored waits until a room has so many messages.
func (s *service) stored(t *testing.T, room string, want int) {
	t.Helper()
	s.until(t, fmt.Sprintf("%s has %d messages", room, want), func() bool {
		return len(s.control(t, map[string]any{"stored": room}).([]any)) == want
	})
}

func (s *service) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not yet: %s", what)
		}
	}
}

func startChromium(t *testing.T) context.Context {
	t.Helper()
	path := program(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("no-proxy-server", true),
		// Pages are treated as in anybody's browser.
		chromedp.Flag("disable-background-timer-throttling", false), chromedp.Flag("disable-renderer-backgrounding", false),
		chromedp.Flag("disable-backgrounding-occluded-windows", false))
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
