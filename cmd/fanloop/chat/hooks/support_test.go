package hooks_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "0123456789abcdef0123456789abcdef"

// backend is the other end, without sockets.
type backend struct {
	mu      sync.Mutex
	answer  func(r *http.Request, body string) (*http.Response, error)
	asked   int
	running int
	most    int // that ran at once
}

// RoundTrip implements http.RoundTripper.
func (b *backend) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.asked++
	b.running++
	b.most = max(b.most, b.running)
	answer := b.answer
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.running--
		b.mu.Unlock()
	}()
	return answer(r, string(body))
}

func (b *backend) set(answer func(r *http.Request, body string) (*http.Response, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

func (b *backend) counts() (asked, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked, b.most
}

func response(r *http.Request, status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// says answers at once.
func says(status int, body string) func(*http.Request, string) (*http.Response, error) {
	return func(r *http.Request, _ string) (*http.Response, error) { return response(r, status, body) }
}

// after answers after a time, as far as the request waits.
func after(d time.Duration, body string) func(*http.Request, string) (*http.Response, error) {
	return func(r *http.Request, _ string) (*http.Response, error) {
		select {
		case <-time.After(d):
			return response(r, 200, body)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// hangs never answers.
func hangs(r *http.Request, _ string) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// drips begins an answer that never ends.
func drips(r *http.Request, _ string) (*http.Response, error) {
	body := io.MultiReader(strings.NewReader(`{"allow":`), reader(func([]byte) (int, error) {
		<-r.Context().Done()
		return 0, r.Context().Err()
	}))
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body), Request: r}, nil
}

type reader func([]byte) (int, error)

func (f reader) Read(b []byte) (int, error) { return f(b) }

// endless sends for ever.
func endless(r *http.Request, _ string) (*http.Response, error) {
	body := reader(func(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte(" "), len(b))), nil })
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body), Request: r}, nil
}

func newHook(t testing.TB, c hooks.Config) *hooks.Hook {
	t.Helper()
	if c.Kind == "" {
		c.Kind = hooks.Subscribe
	}
	if c.URL == "" {
		c.URL = "https://backend.example/hook"
	}
	c.Secrets = []string{secret}
	h, err := hooks.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
