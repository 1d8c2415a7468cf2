package page

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer
}

// assets are the paths of all that the page loads.
func assets(t *testing.T) []string {
	t.Helper()
	paths := []string{"/", "/fanloop.js"}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != "index.html" {
			paths = append(paths, "/"+entry.Name())
		}
	}
	return paths
}

func TestEachFileHasItsTypeAndTheSamePolicy(t *testing.T) {
	types := map[string]string{"": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	for _, path := range assets(t) {
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

func TestOtherPathsAreNotFound(t *testing.T) {
	for _, path := range []string{"/page.go", "/test/serve.js", "/../page.go", "/x.js", "//", "/app.js/"} {
		if answer := get(t, path); answer.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, answer.Code)
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	answer := httptest.NewRecorder()
	Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/", nil))
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
	for _, path := range assets(t) {
		if found := makesHTML.FindString(get(t, path).Body.String()); found != "" && strings.HasSuffix(path, ".js") {
			t.Errorf("%s has %q", path, found)
		}
	}
}

func TestFirstLoadIsBelow60KBCompressed(t *testing.T) {
	total := 0
	for _, path := range assets(t) {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(get(t, path).Body.Bytes())
		_ = w.Close()
		total += packed.Len()
	}
	t.Logf("%d bytes", total)
	if total > 60_000 {
		t.Errorf("the first load is %d bytes compressed, want at most 60000", total)
	}
}

func TestModules(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no node")
	}
	tests, err := filepath.Glob("test/*.test.js")
	if err != nil || len(tests) == 0 {
		t.Fatal("no tests of modules", err)
	}
	output, err := exec.CommandContext(t.Context(), node, append([]string{"--test"}, tests...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}
