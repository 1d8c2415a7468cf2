package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// X38: whatever the backend does, a question is over at its deadline, nobody is let
// through, and the operator sees why.
func TestBackendsWithFaults(t *testing.T) {
	redirect := func(r *http.Request, _ string) (*http.Response, error) {
		if r.URL.Host != "backend.example" {
			panic("the redirect is followed")
		}
		a, err := response(r, 302, `{"allow":true}`)
		a.Header.Set("Location", "http://169.254.169.254/latest/meta-data/")
		return a, err
	}
	reset := func(*http.Request, string) (*http.Response, error) { return nil, syscall.ECONNRESET }
	for name, tt := range map[string]struct {
		answer func(*http.Request, string) (*http.Response, error)
		want   hooks.Outcome
	}{
		"hangs":                  {hangs, hooks.Timeout},
		"answers after 5 s":      {after(5*time.Second, `{"allow":true}`), hooks.Timeout},
		"never ends its answer":  {drips, hooks.Timeout},
		"500":                    {says(500, `{"allow":true}`), hooks.Status},
		"204":                    {says(204, ""), hooks.Status},
		"201":                    {says(201, `{"allow":true}`), hooks.Status},
		"redirect":               {redirect, hooks.Status},
		"RST":                    {reset, hooks.Connection},
		"10 MB":                  {says(200, `{"allow":true,"reason":"`+strings.Repeat("x", 10<<20)+`"}`), hooks.Body},
		"endless":                {endless, hooks.Body},
		"no JSON":                {says(200, "true"), hooks.Body},
		"empty":                  {says(200, ""), hooks.Body},
		"two answers":            {says(200, `{"allow":false}{"allow":true}`), hooks.Body},
		"without allow":          {says(200, `{"ok":true}`), hooks.Body},
		"allow is null":          {says(200, `{"allow":null}`), hooks.Body},
		"allow is text":          {says(200, `{"allow":"true"}`), hooks.Body},
		"unknown right":          {says(200, `{"allow":true,"rights":["root"]}`), hooks.Body},
		"expires is not a time":  {says(200, `{"allow":true,"expires":-1}`), hooks.Body},
		"info is 5 KiB":          {says(200, `{"allow":true,"info":"`+strings.Repeat("x", 5<<10)+`"}`), hooks.Body},
		"connect without a user": {says(200, `{"allow":true}`), hooks.Body},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kind := hooks.Subscribe
				if strings.HasPrefix(name, "connect") {
					kind = hooks.Connect
				}
				var seen []hooks.Outcome
				b := &backend{answer: tt.answer}
				h := newHook(t, hooks.Config{Kind: kind, Transport: b, OnAnswer: func(_ hooks.Kind, o hooks.Outcome, _ error, _ time.Duration) { seen = append(seen, o) }})
				began := time.Now()
				a, err := h.Ask(context.Background(), hooks.Question{User: "ann"})
				if !errors.Is(err, hooks.ErrUnavailable) || a.Allow {
					t.Errorf("%+v, %v", a, err)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
				if len(seen) != 1 || seen[0] != tt.want || h.Stats().Outcomes[tt.want] != 1 {
					t.Errorf("outcomes %v, %+v; want %v", seen, h.Stats(), tt.want)
				}
				if d := hooks.DelayOf(err); d < time.Second || d > 11*time.Second {
					t.Errorf("delay %v", d)
				}
				if strings.Contains(err.Error(), "backend.example") {
					t.Errorf("the URL is in the error: %v", err)
				}
				synctest.Wait()
				if s := h.Stats(); s.Running != 0 || s.Pending != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A user whose name is refused is not let in, learns why, and is asked about no more: the
// same answer would come again. The backend works: others are asked about.
func TestNamesOfTheBackendAreChecked(t *testing.T) {
	b := &backend{answer: says(200, `{"allow":true,"user":"evil\u202e"}`)}
	h := newHook(t, hooks.Config{Kind: hooks.Connect, Timeout: time.Minute, Transport: b, Failures: 3})
	for range 10 {
		a, err := h.Ask(context.Background(), hooks.Question{})
		if !errors.Is(err, names.ErrName) || errors.Is(err, hooks.ErrUnavailable) || !strings.Contains(err.Error(), "the user has an invisible") || a.Allow {
			t.Errorf("%+v, %v", a, err)
		}
	}
	b.set(says(200, `{"allow":true,"user":"ann","name":" Ann\u202e\u3164"}`))
	if a, err := h.Ask(context.Background(), hooks.Question{}); err != nil || a.User != "ann" || a.Name != "Ann" {
		t.Errorf("%+v, %v", a, err)
	}
}

// What a backend may answer.
func TestAnswers(t *testing.T) {
	b := &backend{answer: says(200, `{"allow":true,"user":"ann","session":"s1","name":"Ann","info":{"a":1},"expires":1800000000,
		"topics":{"lobby":["moderate"]},"namespaces":{"team":["subscribe","publish"]},"rights":["history"],"data":null,"more":1}`)}
	a, err := newHook(t, hooks.Config{Kind: hooks.Connect, Timeout: time.Minute, Transport: b}).Ask(context.Background(), hooks.Question{})
	if err != nil || !a.Allow || a.User != "ann" || a.Session != "s1" || a.Name != "Ann" || string(a.Info) != `{"a":1}` ||
		a.Expires.Unix() != 1800000000 || a.Grants.In("team:x") != rules.RightsOf(rules.Subscribe, rules.Publish) ||
		a.Grants.In("lobby") != rules.RightsOf(rules.Moderate) || a.Rights != rules.RightsOf(rules.History) || string(a.Data) != "null" {
		t.Errorf("%+v, %v", a, err)
	}
	b.set(says(200, `{"allow":false,"reason":"members only","user":"root","rights":["moderate"]}`))
	a, err = newHook(t, hooks.Config{Timeout: time.Minute, Transport: b}).Ask(context.Background(), hooks.Question{})
	if err != nil || a.Allow || a.Reason != "members only" || a.User != "" || a.Rights != 0 {
		t.Errorf("%+v, %v", a, err)
	}
}

// The token is in the body, and neither in the URL nor in a header.
func TestQuestion(t *testing.T) {
	b := &backend{answer: func(r *http.Request, body string) (*http.Response, error) {
		if want := `{"hook":"connect","address":"192.0.2.1","token":"TOKEN"}`; body != want {
			t.Errorf("%s, want %s", body, want)
		}
		if all := fmt.Sprint(r.URL, r.Header); strings.Contains(all, "TOKEN") {
			t.Error(all)
		}
		if err := hooks.Verify([]string{secret}, r.Header, []byte(body), time.Now(), time.Minute); err != nil || r.Method != "POST" {
			t.Errorf("%s: %v", r.Method, err)
		}
		return response(r, 200, `{"allow":false}`)
	}}
	q := hooks.Question{Address: "192.0.2.1", Token: auth.NewToken("TOKEN")}
	if _, err := newHook(t, hooks.Config{Kind: hooks.Connect, Timeout: time.Minute, Transport: b}).Ask(context.Background(), q); err != nil {
		t.Error(err)
	}
	if shown := fmt.Sprintf("%+v", q); strings.Contains(shown, "TOKEN") {
		t.Error(shown)
	}
}

// X38: while the backend is down, five thousand connects cost a few requests, none
// lasts longer than the deadline, their delays differ, and afterwards all is well.
func TestStormWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states []hooks.State
		b := &backend{answer: hangs}
		h := newHook(t, hooks.Config{Kind: hooks.Connect, Transport: b, OnState: func(_ hooks.Kind, s hooks.State) { states = append(states, s) }})
		began := time.Now()
		var wg sync.WaitGroup
		var refused atomic.Int64
		var mu sync.Mutex
		delays := make(map[time.Duration]bool)
		storm := func() {
			for n := range 5000 {
				wg.Go(func() {
					_, err := h.Ask(context.Background(), hooks.Question{User: fmt.Sprint(n)})
					if errors.Is(err, hooks.ErrUnavailable) {
						refused.Add(1)
					}
					mu.Lock()
					delays[hooks.DelayOf(err)] = true
					mu.Unlock()
				})
			}
			wg.Wait()
		}
		storm()
		if took := time.Since(began); took > 3*time.Second || refused.Load() != 5000 {
			t.Errorf("%d refused in %v", refused.Load(), took)
		}
		asked, most := b.counts()
		if asked > 33 || most > 32 {
			t.Errorf("%d requests, %d at once", asked, most)
		}
		if len(delays) < 1000 {
			t.Errorf("%d delays of 5000", len(delays))
		}
		synctest.Wait()
		if s := h.Stats(); s.State != hooks.IsOpen || s.Outcomes[hooks.Busy] < 4000 {
			t.Errorf("%+v", s)
		}
		began = time.Now()
		storm()
		if again, _ := b.counts(); again != asked || time.Since(began) != 0 {
			t.Errorf("%d requests while open, in %v", again-asked, time.Since(began))
		}
		b.set(after(50*time.Millisecond, `{"allow":true,"user":"ann"}`))
		time.Sleep(13 * time.Second)
		if a, err := h.Ask(context.Background(), hooks.Question{}); err != nil || !a.Allow {
			t.Errorf("when it is back: %+v, %v", a, err)
		}
		if s := h.Stats(); s.State != hooks.Closed || len(states) < 2 || states[0] != hooks.IsOpen || states[len(states)-1] != hooks.Closed {
			t.Errorf("%+v, %v", s, states)
		}
	})
}

// While the circuit is half open, one request tries. If it fails, the circuit is open
// again.
func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: says(500, "")}
		h := newHook(t, hooks.Config{Transport: b})
		for n := range 10 {
			_, _ = h.Ask(context.Background(), hooks.Question{ID: fmt.Sprint(n)})
		}
		if asked, _ := b.counts(); asked != 5 {
			t.Errorf("%d requests", asked)
		}
		b.set(hangs)
		time.Sleep(13 * time.Second)
		var wg sync.WaitGroup
		for n := range 20 {
			wg.Go(func() { _, _ = h.Ask(context.Background(), hooks.Question{ID: fmt.Sprint("half", n)}) })
		}
		wg.Wait()
		synctest.Wait()
		if asked, _ := b.counts(); asked != 6 || h.Stats().State != hooks.IsOpen {
			t.Errorf("%d requests, %v", asked, h.Stats().State)
		}
	})
}

// What a backend refuses, and who leaves before the answer, is no fault of it.
func TestWhatDoesNotOpenTheCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: says(200, `{"allow":false}`)}
		h := newHook(t, hooks.Config{Transport: b})
		for n := range 100 {
			_, _ = h.Ask(context.Background(), hooks.Question{ID: fmt.Sprint(n)})
		}
		b.set(after(time.Second, `{"allow":true}`))
		for n := range 100 {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Millisecond, cancel)
			if _, err := h.Ask(ctx, hooks.Question{ID: fmt.Sprint("left", n)}); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		if s := h.Stats(); s.State != hooks.Closed || s.Outcomes[hooks.Canceled] != 100 {
			t.Errorf("%+v", s)
		}
	})
}

// A request that had to wait for most of its time says nothing of the backend.
func TestLateRequestsDoNotOpenTheCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: after(2*time.Second, `{"allow":true}`)}
		h := newHook(t, hooks.Config{Transport: b, Concurrency: 1, Failures: 1})
		var wg sync.WaitGroup
		for n := range 2 {
			wg.Go(func() { _, _ = h.Ask(context.Background(), hooks.Question{ID: fmt.Sprint(n)}) })
		}
		wg.Wait()
		synctest.Wait()
		if s := h.Stats(); s.State != hooks.Closed || s.Outcomes[hooks.Allowed] != 1 || s.Outcomes[hooks.Timeout] != 1 {
			t.Errorf("%+v", s)
		}
		if asked, _ := b.counts(); asked != 2 {
			t.Errorf("%d requests", asked)
		}
	})
}

// Who asks and leaves at once does not get more requests to run or wait than others.
func TestLeaversAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: after(2*time.Second, `{"allow":true}`)}
		h := newHook(t, hooks.Config{Transport: b, Concurrency: 2, Waiting: 3})
		for n := range 100 {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Millisecond, cancel)
			_, _ = h.Ask(ctx, hooks.Question{ID: fmt.Sprint(n)})
		}
		time.Sleep(10 * time.Second)
		if asked, most := b.counts(); asked > 5 || most > 2 {
			t.Errorf("%d requests, %d at once", asked, most)
		}
	})
}

// The same question is asked once at a time, and others are not mixed up with it. Who
// asked first may leave: the others get the answer.
func TestSameQuestionIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(r *http.Request, body string) (*http.Response, error) {
			time.Sleep(time.Second)
			return response(r, 200, fmt.Sprintf(`{"allow":%v}`, strings.Contains(body, `"user":"ann"`)))
		}}
		h := newHook(t, hooks.Config{Transport: b})
		var wg sync.WaitGroup
		first, leave := context.WithCancel(context.Background())
		time.AfterFunc(100*time.Millisecond, leave)
		for n := range 40 {
			q, ctx := hooks.Question{User: "ann", Topic: "a"}, context.Background()
			switch {
			case n == 0:
				ctx = first
			case n%2 == 0:
				q.User = "ben"
			}
			wg.Go(func() {
				a, err := h.Ask(ctx, q)
				if n > 0 && (err != nil || a.Allow != (q.User == "ann")) {
					t.Errorf("%+v: %+v, %v", q, a, err)
				}
				if n == 0 && !errors.Is(err, context.Canceled) {
					t.Error("the first:", err)
				}
			})
			if n == 0 {
				synctest.Wait()
			}
		}
		wg.Wait()
		if asked, _ := b.counts(); asked != 2 || h.Stats().Shared < 38 {
			t.Errorf("%d requests, %+v", asked, h.Stats())
		}
		if _, err := h.Ask(context.Background(), hooks.Question{User: "ann", Topic: "a"}); err != nil {
			t.Error(err)
		}
		if asked, _ := b.counts(); asked != 3 {
			t.Error("an old answer is given")
		}
	})
}

// X38: a hook that asks something of the service itself is answered, since nothing is
// locked meanwhile.
func TestHookThatCallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *hooks.Hook
		b := &backend{}
		b.set(func(r *http.Request, body string) (*http.Response, error) {
			if !strings.Contains(body, "inner") {
				if a, err := h.Ask(r.Context(), hooks.Question{ID: "inner", Topic: "a"}); err != nil || !a.Allow {
					t.Errorf("%+v, %v", a, err)
				}
			}
			return response(r, 200, `{"allow":true}`)
		})
		h = newHook(t, hooks.Config{Kind: hooks.Publish, Transport: b, Concurrency: 2})
		if a, err := h.Ask(context.Background(), hooks.Question{ID: "outer", Topic: "a"}); err != nil || !a.Allow {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// Go returns at once, whatever the backend does, and calls back with what Ask returns.
func TestGoNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: hangs}
		h := newHook(t, hooks.Config{Transport: b, Concurrency: 2, Waiting: 3})
		began := time.Now()
		var called, full int
		var mu sync.Mutex
		for n := range 10 {
			err := h.Go(context.Background(), hooks.Question{ID: fmt.Sprint(n)}, func(a hooks.Answer, err error) {
				mu.Lock()
				defer mu.Unlock()
				called++
				if a.Allow || !errors.Is(err, hooks.ErrUnavailable) {
					t.Errorf("%+v, %v", a, err)
				}
			})
			if err != nil {
				full++
			}
		}
		if time.Since(began) != 0 || full != 5 {
			t.Errorf("%v, %d refused", time.Since(began), full)
		}
		time.Sleep(4 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if called != 5 {
			t.Errorf("%d called", called)
		}
	})
}

// Otherwise: allow lets through where there is no answer, and says so; a refusal stays
// one.
func TestOtherwise(t *testing.T) {
	b := &backend{answer: says(500, "")}
	h := newHook(t, hooks.Config{Kind: hooks.Publish, Otherwise: hooks.Allow, Timeout: time.Minute, Transport: b})
	for n := range 10 { // the circuit opens meanwhile
		if a, err := h.Ask(context.Background(), hooks.Question{ID: fmt.Sprint(n)}); err != nil || !a.Allow || !a.Otherwise {
			t.Errorf("%+v, %v", a, err)
		}
	}
	b.set(says(200, `{"allow":false}`))
	h = newHook(t, hooks.Config{Kind: hooks.Publish, Otherwise: hooks.Allow, Timeout: time.Minute, Transport: b})
	if a, err := h.Ask(context.Background(), hooks.Question{}); err != nil || a.Allow || a.Otherwise {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestConfigs(t *testing.T) {
	good := hooks.Config{Kind: hooks.Connect, URL: "https://backend.example/", Secrets: []string{secret}}
	for name, change := range map[string]func(*hooks.Config){
		"kind":           func(c *hooks.Config) { c.Kind = "x" },
		"no URL":         func(c *hooks.Config) { c.URL = "" },
		"path":           func(c *hooks.Config) { c.URL = "/hook" },
		"scheme":         func(c *hooks.Config) { c.URL = "file:///etc/passwd" },
		"password":       func(c *hooks.Config) { c.URL = "https://user:hunter2@backend.example/" },
		"metadata":       func(c *hooks.Config) { c.URL = "http://169.254.169.254/" },
		"no secret":      func(c *hooks.Config) { c.Secrets = nil },
		"short secret":   func(c *hooks.Config) { c.Secrets = []string{"hunter2"} },
		"open connect":   func(c *hooks.Config) { c.Otherwise = hooks.Allow },
		"open refresh":   func(c *hooks.Config) { c.Kind, c.Otherwise = hooks.Refresh, hooks.Allow },
		"otherwise":      func(c *hooks.Config) { c.Otherwise = "x" },
		"negative":       func(c *hooks.Config) { c.Timeout = -1 },
		"negative count": func(c *hooks.Config) { c.Concurrency = -1 },
	} {
		c := good
		change(&c)
		if _, err := hooks.New(c); err == nil {
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a secret is shown: %v", name, err)
		}
	}
}

func Example() {
	// In production, leave Transport out: it is the backend here.
	backend := roundTripper(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		if err := hooks.Verify([]string{secret}, r.Header, body, time.Now(), 5*time.Minute); err != nil {
			return response(r, http.StatusForbidden, "")
		}
		return response(r, http.StatusOK, `{"allow":true,"rights":["moderate"]}`)
	})
	hook, err := hooks.New(hooks.Config{
		Kind: hooks.Subscribe, URL: "https://backend.example/hooks/subscribe", Secrets: []string{secret},
		Timeout: 10 * time.Second, Transport: backend,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := hook.Ask(context.Background(), hooks.Question{User: "ann", Topic: "lobby"})
	fmt.Println(answer.Allow, answer.Rights, err)
	// Output: true moderate <nil>
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
