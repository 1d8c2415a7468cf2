package interop

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
)

// pages are what the browser is shown.
var pages = http.FileServer(http.Dir("testdata/interop"))

// A page of Server.HTTP opens WebSockets to the same port.
func TestInteropServeBrowser(t *testing.T) {
	b := startBrowser(t)
	eachCase(t, allCases, func(t *testing.T, c deflateCase, agreed bool) {
		id := c.identity(t)
		addr, ends := interopServer(t, c.compression, agreed, id)
		reports := &closeReports{arriving: ends}
		b.show(schemeOf(id, "http") + addr + "/browser.html")
		config := scriptConfig(t, schemeOf(id, "ws")+addr, agreed, id)
		for _, name := range []string{
			"echo", "fragments in", "pong", "subprotocol", "server closes", "server drops", "many",
		} {
			t.Run(name, func(t *testing.T) {
				o := evaluate[outcome](b, "outcome(config, '"+name+"')", config)
				o.check(t, name, reports)
			})
		}
		reports.wantNoMore(t)
	})
	addr, ends := interopServer(t, nil, false, nil)
	b.show("http://" + addr + "/browser.html")
	t.Run("leaving the page closes with 1001", func(t *testing.T) {
		if state := evaluate[int](b, "linger(config)", scriptConfig(t, "ws://"+addr, false, nil)); state != 1 {
			t.Fatalf("readyState %d, want OPEN", state)
		}
		b.show("about:blank")
		want := closeReport{"/echo", 1001, ""}
		if got := within(t, "OnClose", ends); got != want {
			t.Errorf("OnClose was told %+v, want %+v", got, want)
		}
	})
}

// H08: the page of another origin, and one whose origin is null.
func TestInteropForeignPageIsRefused(t *testing.T) {
	b := startBrowser(t)
	addr, ends := interopServer(t, nil, false, nil)
	foreign := httptest.NewServer(pages)
	t.Cleanup(foreign.Close)
	sandboxed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "sandbox allow-scripts")
		pages.ServeHTTP(w, r)
	}))
	t.Cleanup(sandboxed.Close)
	for name, page := range map[string]string{"foreign": foreign.URL, "null": sandboxed.URL} {
		t.Run(name, func(t *testing.T) {
			b.show(page + "/browser.html")
			const want = "1 error, 1006, clean false"
			if got := evaluate[string](b, "refusal(config)", scriptConfig(t, "ws://"+addr, false, nil)); got != want {
				t.Errorf("got %s; want %s", got, want)
			}
			for !strings.Contains(within(t, "403 in the console", b.console), "Unexpected response code: 403") {
				continue
			}
		})
	}
	if len(ends) > 0 {
		t.Errorf("a refused connection was opened: %+v", <-ends)
	}
}

// browser is a headless Chromium that ends with the test.
type browser struct {
	t       *testing.T
	ctx     context.Context
	console chan string
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := program(t, "apt-get install chromium",
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	ctx, cancel := context.WithTimeout(context.Background(), 20*patience)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], // a new profile is among them
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("ignore-certificate-errors", true), // who the server is, other clients check
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-crash-reporter", true), chromedp.Flag("no-proxy-server", true),
		// A page kept for going back keeps its connections open too.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,BackForwardCache"))
	ctx, wait := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(wait)
	console := make(chan string, 256) // more than the pages have to say
	ctx, _ = chromedp.NewContext(ctx, chromedp.WithListener(func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok {
			console <- e.Entry.Text
		}
	}))
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // asks it to end, and waits
			t.Errorf("ending the browser: %v", err)
		}
	})
	return &browser{t, ctx, console}
}

func (b *browser) show(url string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Navigate(url)); err != nil {
		b.t.Fatalf("showing %s: %v", url, err)
	}
}

// evaluate returns what the promise of a function in browser.js gives.
func evaluate[T any](b *browser, call string, config map[string]any) T {
	b.t.Helper()
	c, err := json.Marshal(config)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T]("{const config = "+string(c)+"; "+call+"}", chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", call, err)
	}
	return v
}
