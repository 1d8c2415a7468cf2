package web

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func get(t *testing.T, method, path string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://localhost/", nil)
	r.URL.Path = path
	if header != nil {
		r.Header = header
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryAssetHasItsContentType(t *testing.T) {
	want := map[string]string{
		"/":              "text/html; charset=utf-8",
		"/console.css":   "text/css; charset=utf-8",
		"/console.js":    "text/javascript; charset=utf-8",
		"/connection.js": "text/javascript; charset=utf-8",
		"/socket.js":     "text/javascript; charset=utf-8",
		"/log.js":        "text/javascript; charset=utf-8",
		"/values.js":     "text/javascript; charset=utf-8",
		"/reload.js":     "text/javascript; charset=utf-8",
	}
	for path, contentType := range want {
		resp := get(t, "GET", path, nil)
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != contentType {
			t.Errorf("GET %s: %d %q, want 200 %q", path, resp.StatusCode, resp.Header.Get("Content-Type"), contentType)
		}
		if len(body(t, resp)) == 0 {
			t.Errorf("GET %s: empty body", path)
		}
	}
	if len(assets) != len(want) {
		t.Errorf("%d assets are served, the test knows %d", len(assets), len(want))
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	for _, path := range []string{
		"", "/index.html", "/web.go", "/console", "/console.js/", "//", "/.", "/..", "/../web.go",
		"/console.css/../web.go", "/favicon.ico", "/CONSOLE.JS",
	} {
		if resp := get(t, "GET", path, nil); resp.StatusCode != 404 {
			t.Errorf("GET %q: %d, want 404", path, resp.StatusCode)
		}
	}
}

func TestEveryAnswerForbidsInlineCodeAndSniffing(t *testing.T) {
	for _, path := range []string{"/", "/console.js", "/missing"} {
		h := get(t, "GET", path, nil).Header
		if got := h.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q, want nosniff", path, got)
		}
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %q", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q allows unsafe code", path, policy)
		}
	}
}

func TestOnlyGetAndHeadAreAllowed(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		resp := get(t, method, "/", nil)
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q, want 405 and GET, HEAD", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
	resp := get(t, "HEAD", "/", nil)
	if resp.StatusCode != 200 || resp.ContentLength != int64(len(indexHTML)) || body(t, resp) != "" {
		t.Errorf("HEAD: %d, length %d, want 200, %d and no body", resp.StatusCode, resp.ContentLength, len(indexHTML))
	}
}

func TestUnchangedAssetIsNotSentAgain(t *testing.T) {
	first := get(t, "GET", "/console.js", nil)
	etag := first.Header.Get("ETag")
	if etag == "" || first.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("ETag %q, Cache-Control %q", etag, first.Header.Get("Cache-Control"))
	}
	again := get(t, "GET", "/console.js", http.Header{"If-None-Match": {etag}})
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("with its own ETag: %d, want 304", again.StatusCode)
	}
	if other := get(t, "GET", "/console.css", http.Header{"If-None-Match": {etag}}); other.StatusCode != 200 {
		t.Errorf("with another asset's ETag: %d, want 200", other.StatusCode)
	}
}

// Received bytes must never be parsed as markup or code.
func TestScriptsNeverParseMarkup(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\b|new Function|setHTML`)
	for path, a := range assets {
		if a.contentType != typeJavaScript {
			continue
		}
		if found := forbidden.Find(a.body); found != nil {
			t.Errorf("%s uses %s", path, found)
		}
	}
}

func TestPageLoadsOnlyItsOwnAssets(t *testing.T) {
	page := string(indexHTML)
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		ref := m[1]
		if strings.HasPrefix(ref, "#") || strings.HasPrefix(ref, "data:") {
			continue
		}
		if _, ok := assets["/"+ref]; !ok {
			t.Errorf("the page refers to %q, which is not served", ref)
		}
	}
	for path, a := range assets {
		for _, m := range regexp.MustCompile(`(?:from|Worker\() ?"\./([^"]*)"`).FindAllStringSubmatch(string(a.body), -1) {
			if _, ok := assets["/"+m[1]]; !ok {
				t.Errorf("%s imports %q, which is not served", path, m[1])
			}
		}
	}
	inline := regexp.MustCompile(`<style|\sstyle=|\son[a-z]+=|<script(?:\s[^>]*)?>[^<]`)
	if found := inline.FindString(page); found != "" {
		t.Errorf("the page has inline code: %q", found)
	}
}

// WCAG 2.2, 1.4.3 and 1.4.11: 4.5 to 1 for text, 3 to 1 for edges of fields.
func TestPaletteMeetsContrastAA(t *testing.T) {
	light, dark, found := strings.Cut(string(consoleCSS), "prefers-color-scheme: dark")
	if !found {
		t.Fatal("console.css has no dark palette")
	}
	pairs := []struct {
		fore, back string
		least      float64
	}{
		{"ink", "paper", 4.5}, {"ink", "sheet", 4.5}, {"ink", "tint", 4.5}, {"ink", "fault-tint", 4.5},
		{"muted", "paper", 4.5}, {"muted", "sheet", 4.5}, {"muted", "tint", 4.5}, {"muted", "fault-tint", 4.5},
		{"accent", "sheet", 4.5}, {"accent", "paper", 4.5}, {"accent-ink", "accent", 4.5},
		{"incoming", "sheet", 4.5}, {"fault", "paper", 4.5}, {"fault", "sheet", 4.5}, {"fault", "fault-tint", 4.5},
		{"edge", "paper", 3}, {"edge", "sheet", 3},
	}
	for scheme, css := range map[string]string{"light": light, "dark": dark} {
		for _, p := range pairs {
			if got := contrast(color(t, css, p.fore), color(t, css, p.back)); got < p.least {
				t.Errorf("%s: %s on %s is %.2f to 1, want at least %.1f", scheme, p.fore, p.back, got, p.least)
			}
		}
	}
}

func color(t *testing.T, css, name string) uint64 {
	t.Helper()
	m := regexp.MustCompile(`--` + name + `: #([0-9a-f]{6});`).FindStringSubmatch(css)
	if m == nil {
		t.Fatalf("no color --%s", name)
	}
	rgb, err := strconv.ParseUint(m[1], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return rgb
}

func contrast(a, b uint64) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(rgb uint64) float64 {
	linear := func(shift int) float64 {
		c := float64(rgb>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
}
