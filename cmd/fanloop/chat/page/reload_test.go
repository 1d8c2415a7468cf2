package page_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/page"
)

// The network may change while the page loads: what was under way fails, and no browser
// asks again for it. Then the page loads itself again, until all of it is there.
func TestPageIsLoadedAgainIfAPartFailsInChromium(t *testing.T) {
	browser := chattest.StartBrowser(t)
	for _, part := range []string{"/app.js", "/fanloop.js", "/rooms.js", "/style.css"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			handler := page.Handler(page.Settings{})
			var asked, loaded atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					loaded.Add(1)
				}
				if r.URL.Path == part && loaded.Load() <= 3 {
					asked.Add(1)
					panic(http.ErrAbortHandler) // the connection breaks
				}
				handler.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			tab := browser.Open(t, server.URL)
			tab.Wait(`document.getElementById("signin")?.open && getComputedStyle(document.getElementById("signin")).position === "fixed" &&
				history.state === null`)
			if asked.Load() < 3 || loaded.Load() != 4 {
				t.Errorf("the page was loaded %d times, the part failed %d times", loaded.Load(), asked.Load())
			}
		})
	}
}
