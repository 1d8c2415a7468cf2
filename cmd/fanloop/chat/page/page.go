// Package page has the page of the chat: what a browser loads to talk in rooms.
// It is embedded and needs no build step.
package page

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/client"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// policy lets the page load nothing but its own files: no inline script, no
// inline style, no other host.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// types are those of the files, whatever the machine calls them.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Handler serves the page at "/" and its files, with the client as /fanloop.js.
func Handler() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	body, err := read(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page answers GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	header.Set("Content-Type", types[path.Ext(name)])
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
}

func read(name string) ([]byte, error) {
	if name == "fanloop.js" {
		return client.Module(), nil
	}
	if !fs.ValidPath(name) {
		return nil, fs.ErrNotExist
	}
	return files.ReadFile(name)
}
