package web

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/gorilla/websocket"
)

// patience bounds every wait for something that has to happen.
const patience = time.Minute

const shift = 8 // the modifier's bit in DevTools key events

type step = chromedp.Action[chromedp.Void]

// closing is what a client's close frame said.
type closing struct {
	code   int
	reason string
}

// peer echoes every message. A text that starts with "server:" makes it do
// something else instead.
type peer struct {
	closed chan closing
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		Handler().ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/deny" {
		http.Error(w, "not here", http.StatusForbidden)
		return
	}
	if r.URL.Path == "/silent" {
		<-r.Context().Done()
		return
	}
	upgrader := websocket.Upgrader{Subprotocols: []string{"chat"}, EnableCompression: r.TLS != nil}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		op, message, err := conn.ReadMessage()
		if e, ok := err.(*websocket.CloseError); ok {
			p.closed <- closing{e.Code, e.Text}
		}
		if err != nil || !p.answer(conn, op, message) {
			return
		}
	}
}

func (p *peer) answer(conn *websocket.Conn, op int, message []byte) (open bool) {
	switch string(message) {
	case "server: close":
		frame := websocket.FormatCloseMessage(4001, "quota <b>used</b>")
		conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(patience))
		conn.ReadMessage()
		return false
	case "server: drop":
		return false
	case "server: flood":
		for range 1200 {
			if conn.WriteMessage(websocket.TextMessage, []byte("flood")) != nil {
				return false
			}
		}
		message = []byte("flood ends")
	}
	return conn.WriteMessage(op, message) == nil
}

// expectClosing looks for want among the close frames that arrived: the page of
// an earlier test may still be leaving.
func (p *peer) expectClosing(t *testing.T, want closing) {
	t.Helper()
	var seen []closing
	limit := time.After(patience)
	for {
		select {
		case got := <-p.closed:
			if got == want {
				return
			}
			seen = append(seen, got)
		case <-limit:
			t.Fatalf("close frames %v, want %v", seen, want)
		}
	}
}

// page is one tab with the console.
type page struct {
	t   *testing.T
	ctx context.Context
	url string
}

func startChromium(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	const why = "no Chromium on PATH: install chromium or google-chrome to test the page in a browser"
	switch {
	case path == "" && os.Getenv("FANLOOP_INTEROP") == "required":
		t.Fatal(why)
	case path == "":
		t.Skip(why)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
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

func enter(modifiers int64) step {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		params := input.DispatchKeyEventParams{
			Type: input.DispatchKeyEventTypeKeyDown, Modifiers: modifiers,
			Key: "Enter", Code: "Enter", Text: "\r", WindowsVirtualKeyCode: 13,
		}
		_, err := cdp.Call(ctx, target, input.DispatchKeyEvent, params)
		return chromedp.Void{}, err
	}
}

// complaint fails the test for exceptions and for what the policy blocks.
func (c *page) complaint(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		c.t.Errorf("exception in the page: %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceSecurity {
			c.t.Errorf("the browser blocked something: %s", e.Entry.Text)
		}
	}
}

func (c *page) do(steps ...step) {
	c.t.Helper()
	if err := chromedp.Do(c.ctx, steps...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *page) wait(condition string) {
	c.t.Helper()
	if _, err := chromedp.Run(c.ctx, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(patience))); err != nil {
		c.t.Fatalf("%s: %v", condition, err)
	}
}

func (c *page) check(condition string) {
	c.t.Helper()
	if ok, err := chromedp.Run(c.ctx, chromedp.Evaluate[bool](condition)); err != nil || !ok {
		c.t.Errorf("%s: %v, %v", condition, ok, err)
	}
}

func (c *page) expect(expression, want string) {
	c.t.Helper()
	if got, err := chromedp.Run(c.ctx, chromedp.Evaluate[string](expression)); err != nil || got != want {
		c.t.Errorf("%s: %q, %v, want %q", expression, got, err, want)
	}
}

func (c *page) submit(form string) {
	c.t.Helper()
	c.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("` + form + `").requestSubmit()`))
}

func (c *page) state(want string) {
	c.t.Helper()
	c.wait(`document.getElementById("state").dataset.state === "` + want + `"`)
}

func (c *page) connect() {
	c.t.Helper()
	c.submit("connect-form")
	c.state("open")
}

// fill does what typing value into the field would.
func (c *page) fill(field, value string) {
	c.t.Helper()
	c.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`{ const f = document.getElementById(%q); f.value = %q; f.dispatchEvent(new Event("input", { bubbles: true })); }`, field, value)))
}

func (c *page) send(text string) {
	c.t.Helper()
	c.fill("payload", text)
	c.submit("send-form")
}
