// Package web holds the browser console that fanloop echo serves at "/".
//
// The page is plain HTML, CSS and JavaScript, embedded in the binary. It loads
// nothing from the network and opens only the WebSocket its user asks for. A
// request's path is looked up in a fixed table: a match is answered from
// memory, anything else is 404.
package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/reload"
)

var (
	//go:embed index.html
	indexHTML []byte
	//go:embed console.css
	consoleCSS []byte
	//go:embed console.js
	consoleJS []byte
	//go:embed connection.js
	connectionJS []byte
	//go:embed socket.js
	socketJS []byte
	//go:embed log.js
	logJS []byte
	//go:embed values.js
	valuesJS []byte
)

const (
	typeHTML       = "text/html; charset=utf-8"
	typeCSS        = "text/css; charset=utf-8"
	typeJavaScript = "text/javascript; charset=utf-8"
)

// contentSecurityPolicy allows the page its own files and WebSockets to any
// address, since the address is the user's to choose. The icon is a data URL.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; " +
	"img-src data:; connect-src ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type asset struct {
	contentType string
	etag        string
	body        []byte
}

var assets = map[string]asset{
	"/":              newAsset(typeHTML, indexHTML),
	"/console.css":   newAsset(typeCSS, consoleCSS),
	"/console.js":    newAsset(typeJavaScript, consoleJS),
	"/connection.js": newAsset(typeJavaScript, connectionJS),
	"/socket.js":     newAsset(typeJavaScript, socketJS),
	"/log.js":        newAsset(typeJavaScript, logJS),
	"/values.js":     newAsset(typeJavaScript, valuesJS),
	"/reload.js":     newAsset(typeJavaScript, reload.Script),
}

func newAsset(contentType string, body []byte) asset {
	sum := sha256.Sum256(body)
	return asset{contentType: contentType, etag: `"` + hex.EncodeToString(sum[:8]) + `"`, body: body}
}

// Handler returns the console: the page at "/" and its style and scripts
// beside it. Other paths are 404 and methods other than GET and HEAD are 405.
// Every answer carries a Content-Security-Policy without inline code and
// forbids content sniffing. Browsers may keep a copy but ask before each use
// (ETag), so that a page never outlives its server's version.
//
// The handler holds no state: any goroutine may call it.
func Handler() http.Handler {
	return http.HandlerFunc(serve)
}

func serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")

	a, ok := assets[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the console answers GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}
