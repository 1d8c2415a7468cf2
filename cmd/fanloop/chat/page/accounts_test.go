package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
)

const tokenSecret = "0123456789abcdef0123456789abcdef"

// site is that of a company: people sign in there, and it gives tokens to the page, which
// is of another origin.
type site struct {
	*httptest.Server
	page   atomic.Value // the origin of the page
	broken atomic.Bool  // it gives no tokens now
	tokens atomic.Int64 // that it gave
}

func startCompany(t *testing.T) *site {
	s := &site{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "user", Value: r.FormValue("user"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	})
	mux.HandleFunc("GET /sign-out", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "user", Path: "/", MaxAge: -1})
	})
	mux.HandleFunc("/chat-token", s.token)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *site) token(w http.ResponseWriter, r *http.Request) {
	if origin, _ := s.page.Load().(string); r.Header.Get("Origin") != origin {
		http.Error(w, "another page", http.StatusForbidden)
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	user, err := r.Cookie("user")
	switch {
	case r.Method == http.MethodOptions:
	case err != nil:
		http.Error(w, "not signed in", http.StatusUnauthorized)
	case s.broken.Load():
		http.Error(w, "later", http.StatusServiceUnavailable)
	default:
		s.tokens.Add(1)
		now := time.Now()
		claims := jwt.MapClaims{"sub": user.Value, "name": strings.ToUpper(user.Value), "iat": now.Unix(), "exp": now.Add(15 * time.Minute).Unix()}
		text, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(tokenSecret))
		_, _ = w.Write([]byte(text))
	}
}

func withKeys(tokenURL string) func(*config.Config) {
	return func(c *config.Config) {
		c.Accounts.Keys = []config.Key{{Algorithm: "HS256", Secret: config.NewSecret(tokenSecret)}}
		c.Page.TokenURL = tokenURL
	}
}

// The page where there are accounts.
func TestAccountsInChromium(t *testing.T) {
	browser, company := chattest.StartBrowser(t), startCompany(t)
	node := chattest.StartNode(t, func(c *config.Config) {
		withKeys(company.URL + "/chat-token")(c)
		c.Page.SignInURL = company.URL + "/sign-in"
	})
	company.page.Store("http://" + node.Proxy.Addr())
	somebody := func(t *testing.T) *person { return &person{Tab: browser.Open(t, "about:blank"), t: t, node: node} }
	const door = `document.getElementById("door")?.open && document.getElementById("door").innerText`

	t.Run("the page says what is missing where it does not know where tokens are from", func(t *testing.T) {
		tab := browser.Open(t, chattest.StartNode(t, withKeys("")).Page(""))
		tab.Wait(`/page\.token-url/.test(`+door+`) && document.getElementById("app").hidden`, door)
	})
	t.Run("tokens come from a site of another origin by its cookies", func(t *testing.T) {
		ann, bea := somebody(t), somebody(t)
		for name, p := range map[string]*person{"ann": ann, "bea": bea} {
			p.Run(chromedp.Navigate(company.URL + "/sign-in?user=" + name))
			p.Run(chromedp.Navigate(node.Page("work")))
			p.ready()
			p.sees(`document.getElementById("my-name").textContent === ` + quote(strings.ToUpper(name)) + ` && document.getElementById("development").hidden`)
		}
		ann.says("hello")
		bea.sees(`look.count("hello") === 1 && look.people() === "2 people"`)
		ann.reload()
		ann.sees(`look.count("hello") === 1 && !document.getElementById("door").open`)
		if policy := policyOf(t, node); !strings.HasSuffix(policy, "; connect-src 'self' "+company.URL) {
			t.Error(policy)
		}
	})
	t.Run("a load asks for one token, the first one too", func(t *testing.T) {
		ann := somebody(t)
		ann.Run(chromedp.Navigate(company.URL + "/sign-in?user=ann"))
		before := company.tokens.Load()
		ann.Run(chromedp.Navigate(node.Page("once")))
		ann.ready()
		if n := company.tokens.Load() - before; n != 1 {
			t.Errorf("%d tokens for the first load", n)
		}
		ann.reload()
		if n := company.tokens.Load() - before; n != 2 {
			t.Errorf("%d tokens for two loads", n)
		}
	})
	t.Run("X07 whoever signs in on the site next sees nothing of the one before", func(t *testing.T) {
		ann := somebody(t)
		ann.Run(chromedp.Navigate(company.URL + "/sign-in?user=ann"))
		ann.Run(chromedp.Navigate(node.Page("secret")))
		ann.ready()
		ann.types("a secret draft")
		ann.Run(chromedp.Navigate(company.URL + "/sign-in?user=eve"))
		ann.Run(chromedp.Navigate(node.Page("")))
		ann.ready()
		ann.sees(`document.getElementById("my-name").textContent === "EVE" && !/secret/.test(document.body.innerText) && !Object.keys(localStorage).some((key) => /ann|secret/.test(key) || /ann|secret/.test(localStorage[key]))`)
	})
	t.Run("who has signed out stays out until they want in", func(t *testing.T) {
		ann := somebody(t)
		ann.Run(chromedp.Navigate(company.URL + "/sign-in?user=ann"))
		ann.Run(chromedp.Navigate(node.Page("out")))
		ann.ready()
		ann.Do(`document.getElementById("logout").click()`)
		ann.Wait(`/signed out/.test(`+door+`) && document.getElementById("app").hidden`, door)
		ann.Run(chromedp.Reload())
		ann.Wait(`/signed out/.test(`+door+`)`, door)
		ann.Do(`document.getElementById("door-action").click()`)
		ann.ready()
		ann.sees(`document.getElementById("my-name").textContent === "ANN"`)
	})
	t.Run("who is not signed in on the site is told so, and comes in later", func(t *testing.T) {
		ann := somebody(t)
		ann.Run(chromedp.Navigate(node.Page("later")))
		ann.Wait(`/You are not signed in/.test(`+door+`) && document.getElementById("door-link").href === `+quote(company.URL+"/sign-in"), door)
		other := &person{Tab: ann.Again(t, company.URL+"/sign-in?user=ann"), t: t, node: node}
		company.broken.Store(true)
		ann.Do(`document.getElementById("door-action").click()`)
		ann.Wait(`/Your site does not answer/.test(`+door+`)`, door)
		company.broken.Store(false)
		ann.Do(`document.getElementById("door-action").click()`)
		ann.ready()
		ann.sees(`document.getElementById("my-name").textContent === "ANN"`)
		other.Close()
	})
	t.Run("a name that the chat cannot take is for the administrator", func(t *testing.T) {
		ann := somebody(t)
		ann.Run(chromedp.Navigate(company.URL + "/sign-in?user=" + strings.Repeat("x", 129)))
		ann.Run(chromedp.Navigate(node.Page("")))
		ann.Wait(`/Ask your administrator/.test(`+door+`)`, door)
	})
}
