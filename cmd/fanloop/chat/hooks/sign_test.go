package hooks_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
)

// What was signed is verified, with an old and a new secret, and nothing that was
// changed is.
func TestSignatures(t *testing.T) {
	const next = "next-secret-0123456789abcdef-0123456789"
	var header http.Header
	var body string
	b := &backend{answer: func(r *http.Request, text string) (*http.Response, error) {
		header, body = r.Header.Clone(), text
		return response(r, 200, `{"allow":true}`)
	}}
	h, err := hooks.New(hooks.Config{Kind: hooks.Publish, URL: "http://backend.example/", Timeout: time.Minute, Secrets: []string{secret, next}, Transport: b})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Ask(context.Background(), hooks.Question{ID: "m1", Topic: "a", Data: []byte(`{"text":"hi"}`)}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, secrets := range [][]string{{secret}, {next}, {"x", next}} {
		if err := hooks.Verify(secrets, header, []byte(body), now, time.Minute); err != nil {
			t.Errorf("%v: %v", secrets, err)
		}
	}
	changed := func(name, value string) http.Header { h := header.Clone(); h.Set(name, value); return h }
	for name, tt := range map[string]struct {
		secrets []string
		header  http.Header
		body    string
		now     time.Time
	}{
		"other secret":     {[]string{"x"}, header, body, now},
		"no secret":        {nil, header, body, now},
		"empty secret":     {[]string{""}, header, body, now},
		"body":             {[]string{secret}, header, body + " ", now},
		"hook":             {[]string{secret}, changed(hooks.HeaderHook, "connect"), body, now},
		"id":               {[]string{secret}, changed(hooks.HeaderID, "x"), body, now},
		"time":             {[]string{secret}, changed(hooks.HeaderSignature, strings.Replace(header.Get(hooks.HeaderSignature), "t=", "t=1", 1)), body, now},
		"two times":        {[]string{secret}, changed(hooks.HeaderSignature, header.Get(hooks.HeaderSignature)+",t=1"), body, now},
		"no signature":     {[]string{secret}, http.Header{}, body, now},
		"only a time":      {[]string{secret}, changed(hooks.HeaderSignature, "t=1800000000"), body, time.Unix(1800000000, 0)},
		"empty signature":  {[]string{secret}, changed(hooks.HeaderSignature, "t=1800000000,v1="), body, time.Unix(1800000000, 0)},
		"large":            {[]string{secret}, changed(hooks.HeaderSignature, header.Get(hooks.HeaderSignature)+strings.Repeat(",v1=00", 500)), body, now},
		"too old":          {[]string{secret}, header, body, now.Add(2 * time.Minute)},
		"from the future":  {[]string{secret}, header, body, now.Add(-2 * time.Minute)},
		"time is no time":  {[]string{secret}, changed(hooks.HeaderSignature, "t=x,v1=00"), body, now},
		"time is very far": {[]string{secret}, changed(hooks.HeaderSignature, "t=9223372036854775807,v1=00"), body, now},
	} {
		if err := hooks.Verify(tt.secrets, tt.header, []byte(tt.body), tt.now, time.Minute); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}
