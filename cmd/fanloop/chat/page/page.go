// Package page has the page of the chat: what a browser loads to talk in rooms.
// It is embedded and needs no build step.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/client"
	"github.com/fanloop-go/fanloop/cmd/fanloop/reload"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// policy lets the page load nothing but its own files: no inline script, no
// inline style, no other host.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// Settings are what the page depends on. The zero value is that of one node without
// accounts.
type Settings struct {
	// Accounts reports that users show tokens. Without, they choose names.
	Accounts bool
	// TokenURL is where the page gets tokens: a path of its own origin, or a URL. Empty:
	// nowhere, which the page says.
	TokenURL string
	// SignInURL is where people sign in who are not: a link of the page. Empty: there is none.
	SignInURL string
	// Nodes returns the addresses of other nodes, to which the page may connect too; nil:
	// there are none.
	Nodes func() []string
	// Allowed reports whether the page that a request is of may import /fanloop.js; nil:
	// no page of another origin may.
	Allowed func(r *http.Request) bool
}

// policy lets the page connect to other nodes too, and to where its tokens are.
func (s *Settings) policy() string {
	var others []string
	if s.Nodes != nil {
		for _, node := range s.Nodes() {
			others = append(others, node, "ws"+strings.TrimPrefix(node, "http"))
		}
	}
	if u, err := url.Parse(s.TokenURL); err == nil && u.Host != "" {
		others = append(others, u.Scheme+"://"+u.Host)
	}
	if len(others) == 0 {
		return policy
	}
	return policy + "; connect-src 'self' " + strings.Join(others, " ")
}

// index is the page itself, with where its tokens are.
func (s *Settings) index() asset {
	var body bytes.Buffer
	if err := template.Must(template.ParseFS(files, "index.html")).Execute(&body, s); err != nil {
		panic(err) // what is embedded has only what Settings have
	}
	return pack(body.Bytes(), ".html")
}

// types are those of the files, whatever the machine calls them.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".ts":   "text/plain; charset=utf-8",
}

// asset is a file as it is sent.
type asset struct {
	kind, tag  string
	body, gzip []byte
}

// assets are all files by name, with those of other packages. They are packed when the first
// one is asked for.
var assets = sync.OnceValue(func() map[string]asset {
	all := map[string]asset{
		"fanloop.js": pack(client.Module(), ".js"), "types.d.ts": pack(client.Types(), ".ts"),
		"reload.js": pack(reload.Script, ".js"),
	}
	entries, err := files.ReadDir(".")
	for _, entry := range entries {
		body, failed := files.ReadFile(entry.Name())
		err = errors.Join(err, failed)
		all[entry.Name()] = pack(body, path.Ext(entry.Name()))
	}
	if err != nil {
		panic(err) // what is embedded can be read
	}
	return all
})

func pack(body []byte, extension string) asset {
	sum := sha256.Sum256(body)
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // a level that there is
	_, _ = w.Write(body)                                       // a Buffer takes all
	_ = w.Close()
	return asset{types[extension], hex.EncodeToString(sum[:12]), body, packed.Bytes()}
}

// handler serves the page.
type handler struct {
	settings Settings
	index    func() asset
}

// Handler serves the page at "/" and its files, with the client as /fanloop.js. A browser
// asks each time whether a file has changed, and gets what has changed compressed.
func Handler(s Settings) http.Handler {
	return &handler{s, sync.OnceValue(s.index)}
}

// file returns a file by its path.
func (h *handler) file(path string) (file asset, known bool) {
	switch name := strings.TrimPrefix(path, "/"); name {
	case "", "index.html":
		return h.index(), true
	default:
		file, known = assets()[name]
		return file, known
	}
}

// share lets pages of other origins import the client. Their origin is answered only where
// it is allowed.
func (h *handler) share(header http.Header, r *http.Request) {
	header.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" && h.settings.Allowed != nil && h.settings.Allowed(r) {
		header.Set("Access-Control-Allow-Origin", origin)
	}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, known := h.file(r.URL.Path)
	if !known {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page answers GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	body, tag := file.body, `"`+file.tag+`"`
	header := w.Header()
	if takesGzip(r.Header) {
		body, tag = file.gzip, `"`+file.tag+`-gzip"`
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("ETag", tag)
	header.Set("Vary", "Accept-Encoding")
	if r.URL.Path == "/fanloop.js" {
		h.share(header, r)
	}
	header.Set("Content-Type", file.kind)
	header.Set("Content-Security-Policy", h.settings.policy())
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body)) // the tag may be known
}

// takesGzip reports whether an answer may be compressed.
func takesGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.TrimSpace(name) == "gzip" {
			return !refused.MatchString(weight)
		}
	}
	return false
}

var refused = regexp.MustCompile(`^\s*q=0(\.0*)?\s*$`)
