package chattest

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// Browser is a Chromium.
type Browser struct{ ctx context.Context }

// StartBrowser starts Chromium. It ends with the test.
func StartBrowser(t testing.TB) *Browser {
	t.Helper()
	path := Program(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
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
	return &Browser{ctx}
}

// Tab is a page in a window of its own, so it is seen.
type Tab struct {
	Script
	ctx    context.Context
	traced chan *tracing.EventDataCollected // of the trace that is recorded

	mu       sync.Mutex
	unloaded []string // guarded by mu: what the browser could not load, as a test that failed says
}

// Open opens an address as somebody of whom the browser knows nothing yet.
func (b *Browser) Open(t testing.TB, address string) *Tab {
	t.Helper()
	return open(t, b.ctx, address, chromedp.WithNewBrowserContext())
}

// Again opens an address as the person who has the tab.
func (tab *Tab) Again(t testing.TB, address string) *Tab {
	t.Helper()
	return open(t, tab.ctx, address)
}

func open(t testing.TB, parent context.Context, address string, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(parent, 2*patience)
	t.Cleanup(cancel)
	tab := &Tab{Script: Script{t: t}}
	tab.evaluate = tab.evaluateHere
	tab.ctx, cancel = chromedp.NewContext(ctx, append(options, chromedp.WithListener(tab.complaint))...)
	t.Cleanup(cancel)
	t.Cleanup(tab.sayUnloaded)
	tab.Run(chromedp.Navigate(address))
	return tab
}

func (tab *Tab) sayUnloaded() {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	if tab.t.Failed() && len(tab.unloaded) > 0 {
		tab.t.Logf("the browser did not load: %s", strings.Join(tab.unloaded, ", "))
	}
}

// complaint fails the test when the page has a fault, or the browser blocks something.
func (tab *Tab) complaint(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		tab.t.Errorf("exception in the page: %s", text)
	case *tracing.EventDataCollected:
		tab.traced <- e
	case *tracing.EventTracingComplete:
		close(tab.traced)
	case *page.EventJavascriptDialogOpening:
		tab.t.Errorf("the page opened a dialog: %s", e.Message)
	case *network.EventLoadingFailed:
		tab.mu.Lock()
		defer tab.mu.Unlock()
		tab.unloaded = append(tab.unloaded, string(e.Type)+" "+e.ErrorText)
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceSecurity {
			tab.t.Errorf("the browser blocked something: %s", e.Entry.Text)
		}
	}
}

// Run does steps of chromedp.
func (tab *Tab) Run(steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	if err := chromedp.Do(tab.ctx, steps...); err != nil {
		tab.t.Fatal(err)
	}
}

// evaluateHere runs a script where the page is now. chromedp's own Evaluate holds on to
// the context of a page that was left, also when it comes back.
func (tab *Tab) evaluateHere(expression string) (value []byte, err error) {
	yes := true
	answer, err := Call(tab, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, ReturnByValue: &yes, AwaitPromise: &yes})
	switch {
	case err != nil:
		return nil, err
	case answer.ExceptionDetails != nil && answer.ExceptionDetails.Exception != nil:
		return nil, errors.New(answer.ExceptionDetails.Exception.Description)
	case answer.ExceptionDetails != nil:
		return nil, errors.New(answer.ExceptionDetails.Text)
	}
	return answer.Result.Value, nil
}

// Call sends a command of the DevTools protocol to the page.
func Call[P, R any](tab *Tab, command cdp.Command[P, R], params P) (R, error) {
	return chromedp.Run(tab.ctx, func(ctx context.Context, target *chromedp.Target) (R, error) {
		return cdp.Call(ctx, target, command, params)
	})
}

// Close ends the page, as one whose tab is closed or killed.
func (tab *Tab) Close() {
	tab.t.Helper()
	if err := chromedp.Cancel(tab.ctx); err != nil {
		tab.t.Fatal(err)
	}
}

// Lifecycle freezes the page or lets it go on, as a browser does to hidden tabs.
func (tab *Tab) Lifecycle(state page.SetWebLifecycleStateState) {
	tab.t.Helper()
	if _, err := Call(tab, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state}); err != nil {
		tab.t.Fatal(err)
	}
}

// Picture writes what the page looks like into a PNG.
func (tab *Tab) Picture(file string) {
	tab.t.Helper()
	picture, err := chromedp.Run(tab.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(file, picture, 0o644)
	}
	if err != nil {
		tab.t.Fatal(err)
	}
}
