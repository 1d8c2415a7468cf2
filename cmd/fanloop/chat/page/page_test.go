package page

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, path, nil)
}

func ask(t *testing.T, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	answer, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
	request.Header = header
	Handler(Settings{}).ServeHTTP(answer, request)
	return answer
}

// paths are those of all that the page loads.
func paths() []string {
	all := []string{"/"}
	for name := range assets() {
		if name != "index.html" {
			all = append(all, "/"+name)
		}
	}
	return all
}

func TestEachFileHasItsTypeAndTheSamePolicy(t *testing.T) {
	types := map[string]string{"": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".ts": "text/plain"}
	for _, path := range paths() {
		answer := get(t, path)
		if answer.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, answer.Code)
		}
		want := types[filepath.Ext(path)]
		if got := answer.Header().Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: Content-Type %q, want %s", path, got, want)
		}
		csp := answer.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
	}
}

// The page knows where tokens are from, and may ask there.
func TestWhereTokensAreFrom(t *testing.T) {
	for _, c := range []struct {
		settings  Settings
		meta, csp string
	}{
		{Settings{}, "", ""},
		{Settings{TokenURL: "/ignored without accounts"}, "", ""},
		{Settings{Accounts: true}, `<meta name="fanloop-tokens" content="">`, ""},
		{Settings{Accounts: true, TokenURL: "/chat-token"}, `<meta name="fanloop-tokens" content="/chat-token">`, ""},
		{Settings{Accounts: true, TokenURL: `https://example.com/t?a=1&b="`}, `<meta name="fanloop-tokens" content="https://example.com/t?a=1&amp;b=&#34;">`, "; connect-src 'self' https://example.com"},
		{Settings{Accounts: true, TokenURL: "/t", SignInURL: "/in?back=1&x"}, `<meta name="fanloop-tokens" content="/t">`, ""},
		{Settings{Nodes: func() []string { return []string{"https://n2.example"} }, TokenURL: "https://example.com:8443/t"}, "", "; connect-src 'self' https://n2.example wss://n2.example https://example.com:8443"},
	} {
		answer := httptest.NewRecorder()
		Handler(c.settings).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
		meta := regexp.MustCompile(`<meta name="fanloop-tokens"[^>]*>`).FindString(answer.Body.String())
		if meta != c.meta {
			t.Errorf("%+v: %s", c.settings, meta)
		}
		if csp := answer.Header().Get("Content-Security-Policy"); csp != policy+c.csp {
			t.Errorf("%+v: %s", c.settings, csp)
		}
	}
}

// X40: pages of listed origins import the client, and no origin is answered because it asks.
func TestOtherOriginsImportTheClientIfListed(t *testing.T) {
	h := Handler(Settings{Allowed: func(r *http.Request) bool { return r.Header.Get("Origin") == "https://listed.example" }})
	for _, c := range []struct{ path, origin, want string }{
		{"/fanloop.js", "https://listed.example", "https://listed.example"},
		{"/fanloop.js", "https://other.example", ""},
		{"/fanloop.js", "null", ""},
		{"/fanloop.js", "", ""},
		{"/app.js", "https://listed.example", ""},
		{"/", "https://listed.example", ""},
	} {
		answer, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, c.path, nil)
		if c.origin != "" {
			request.Header.Set("Origin", c.origin)
		}
		h.ServeHTTP(answer, request)
		header := answer.Header()
		if got := header.Get("Access-Control-Allow-Origin"); got != c.want || header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%+v: %q", c, got)
		}
		if varies := slices.Contains(header.Values("Vary"), "Origin"); varies != (c.path == "/fanloop.js") {
			t.Errorf("%+v: Vary %q", c, header.Values("Vary"))
		}
		if answer.Code != http.StatusOK {
			t.Errorf("%+v: status %d", c, answer.Code)
		}
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	for _, path := range []string{"/page.go", "/test/serve.js", "/../page.go", "/x.js", "//", "/app.js/"} {
		if answer := get(t, path); answer.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, answer.Code)
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	answer := httptest.NewRecorder()
	Handler(Settings{}).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/", nil))
	if answer.Code != http.StatusMethodNotAllowed {
		t.Errorf("status %d, want 405", answer.Code)
	}
}

// X28: a slip in the page must stay dead, so nothing in it is inline, and no
// source makes HTML of a text.
func TestNothingIsInlineAndNoTextBecomesHTML(t *testing.T) {
	html := get(t, "/").Body.String()
	for _, pattern := range []string{`<script[^>]*>[^<]`, `\son[a-z]+=`, `\sstyle=`, `<style`, `https?://[^w]`} {
		if found := regexp.MustCompile(pattern).FindString(html); found != "" {
			t.Errorf("index.html has %q", found)
		}
	}
	makesHTML := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function`)
	for _, path := range paths() {
		if found := makesHTML.FindString(get(t, path).Body.String()); found != "" && strings.HasSuffix(path, ".js") {
			t.Errorf("%s has %q", path, found)
		}
	}
}

// A module that is not named in the page is found only when another one was loaded.
func TestPageNamesAllModules(t *testing.T) {
	html := get(t, "/").Body.String()
	for name := range assets() {
		if path.Ext(name) == ".js" && !later[name] && !strings.Contains(html, `="`+name+`"`) {
			t.Errorf("%s is not in the page", name)
		}
	}
}

// later are files that the page loads when they are wanted, or never.
var later = map[string]bool{"complete.js": true, "emoji.js": true, "search.js": true, "types.d.ts": true}

func TestFirstLoadIsBelow60KBCompressed(t *testing.T) {
	total := 0
	for _, path := range paths() {
		if later[path[1:]] {
			continue
		}
		answer := ask(t, path, http.Header{"Accept-Encoding": {"br, gzip"}})
		if got := answer.Header().Get("Content-Encoding"); got != "gzip" {
			t.Errorf("%s: Content-Encoding %q", path, got)
		}
		total += answer.Body.Len()
	}
	t.Logf("%d bytes", total)
	if total > 60_000 {
		t.Errorf("the first load is %d bytes compressed, want at most 60000", total)
	}
}

func TestFilesAreCompressedForThoseThatTakeIt(t *testing.T) {
	plain := get(t, "/app.js").Body.Bytes()
	for accepted, want := range map[string]string{"": "", "identity": "", "gzip": "gzip", "br;q=1.0, gzip;q=0.8": "gzip", "gzip;q=0": "", "gzip; q=0.0": "", "x-gzip": ""} {
		answer := ask(t, "/app.js", http.Header{"Accept-Encoding": {accepted}})
		if got := answer.Header().Get("Content-Encoding"); got != want {
			t.Errorf("%q: Content-Encoding %q, want %q", accepted, got, want)
		}
		body := answer.Body.Bytes()
		if want == "gzip" {
			r, err := gzip.NewReader(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(body, plain) {
			t.Errorf("%q: another file", accepted)
		}
	}
}

func TestWhatHasNotChangedIsNotSentAgain(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		first := ask(t, "/style.css", http.Header{"Accept-Encoding": {encoding}})
		again := ask(t, "/style.css", http.Header{"Accept-Encoding": {encoding}, "If-None-Match": {first.Header().Get("ETag")}})
		if again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%q: status %d with %d bytes", encoding, again.Code, again.Body.Len())
		}
		other := ask(t, "/app.js", http.Header{"Accept-Encoding": {encoding}, "If-None-Match": {first.Header().Get("ETag")}})
		if other.Code != http.StatusOK {
			t.Errorf("%q: another file has the same tag", encoding)
		}
	}
}
