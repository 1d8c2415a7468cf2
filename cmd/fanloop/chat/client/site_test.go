package client_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/reload"
)

// secret signs the tokens of the site.
const secret = "0123456789abcdef0123456789abcdef"

// site has the page of the tests, and tokens whose refresh tokens are good for one use.
type site struct {
	mu      sync.Mutex
	refresh map[string]string // guarded by mu: of each user, the one that was given last
	given   int               // guarded by mu
}

// serveSite serves a site that passes what the protocol asks to a node. It returns its
// address.
func serveSite(t *testing.T, node string, module []byte) string {
	t.Helper()
	s := &site{refresh: map[string]string{}}
	mux := http.NewServeMux()
	mux.Handle("/v1/", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: node})
			r.Out.Host = r.In.Host // the origin of the page
		},
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	for path, file := range map[string]string{"/{$}": "test/page.html", "/page.js": "test/page.js", "/tab.js": "test/tab.js"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
			http.ServeFile(w, r, file)
		})
	}
	mux.HandleFunc("/fanloop.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(module)
	})
	mux.HandleFunc("/reload.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(reload.Script)
	})
	mux.HandleFunc("/favicon.ico", http.NotFound)
	mux.HandleFunc("POST /token", s.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// tokenLife is so short that tabs ask often.
const tokenLife = 3 * time.Second

func (s *site) token(w http.ResponseWriter, r *http.Request) {
	user := r.FormValue("user")
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, known := s.refresh[user]; known && last != r.FormValue("refresh") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.given++
	s.refresh[user] = strconv.Itoa(s.given)
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	}).SignedString([]byte(secret))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Refresh", s.refresh[user])
	_, _ = w.Write([]byte(token))
}
