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
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/client"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// policy lets the page load nothing but its own files: no inline script, no
// inline style, no other host.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// policyWith lets the page connect to other nodes too, of which these are the addresses.
func policyWith(nodes []string) string {
	if len(nodes) == 0 {
		return policy
	}
	connect := "; connect-src 'self'"
	for _, node := range nodes {
		connect += " " + node + " ws" + strings.TrimPrefix(node, "http")
	}
	return policy + connect
}

// types are those of the files, whatever the machine calls them.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// asset is a file as it is sent.
type asset struct {
	kind, tag  string
	body, gzip []byte
}

// assets are all files by name, with the client as fanloop.js. They are packed when the
// first one is asked for.
var assets = sync.OnceValue(func() map[string]asset {
	all := map[string]asset{"fanloop.js": pack(client.Module(), ".js")}
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

// Handler serves the page at "/" and its files, with the client as /fanloop.js. A browser
// asks each time whether a file has changed, and gets what has changed compressed. nodes
// returns the addresses of other nodes, to which the page may connect too; it may be nil.
func Handler(nodes func() []string) http.Handler {
	if nodes == nil {
		nodes = func() []string { return nil }
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, policyWith(nodes())) })
}

func serve(w http.ResponseWriter, r *http.Request, policy string) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	file, known := assets()[name]
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
	header.Set("Content-Type", file.kind)
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body)) // the tag may be known
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
