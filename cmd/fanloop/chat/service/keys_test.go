package service_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// goodKeys is a JWKS with a key, and one of no use.
const goodKeys = `{"keys":[
	{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
	{"kty":"oct","kid":"b","k":"AAAA"}]}`

// X39: an operator sees that a JWKS cannot be fetched, since when and why, that keys of it are
// of no use, and that those which there were are too old. A node on which nobody can connect
// for want of keys is not ready.
func TestOperatorsSeeFailingKeys(t *testing.T) {
	var body atomic.Value
	body.Store("<html>")
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body.Load().(string))) }))
	defer issuer.Close()
	s, ctx, kept := logged(t, func(c *config.Config) {
		c.Accounts.JWKS = config.JWKS{URL: issuer.URL, Every: 10 * time.Millisecond, AtLeast: time.Millisecond, MaxStale: 20 * time.Millisecond}
	})
	until := func(what string, is func() bool) {
		t.Helper()
		for !is() {
			if ctx.Err() != nil {
				t.Fatalf("%s: not before the end; %+v, %v", what, s.Stats().Keys, s.Ready())
			}
			time.Sleep(time.Millisecond)
		}
	}
	until("a failure", func() bool { return s.Stats().Keys.Failures > 1 })
	if got := s.Ready(); !errors.Is(got, service.ErrNoKeys) {
		t.Errorf("without keys: %v", got)
	}
	if found := kept.lines("cannot be fetched"); len(found) == 0 || !strings.Contains(found[0], "level=ERROR") || !strings.Contains(found[0], "no JWKS") || !strings.Contains(found[0], "keys=0") {
		t.Errorf("in the log: %q", found)
	}

	body.Store(goodKeys)
	until("a line of the key of no use", func() bool { return len(kept.lines("are of no use")) > 0 })
	if got := s.Stats().Keys; got.Used != 1 || got.Skipped != 1 || got.Failed == 0 {
		t.Errorf("%+v", got)
	}
	until("ready", func() bool { return s.Ready() == nil })

	body.Store("{}")
	until("no keys", func() bool { return s.Stats().Keys.Used == 0 })
	until("a line of their end", func() bool { return len(kept.lines("fetched=")) > 0 })
	if got := s.Ready(); !errors.Is(got, service.ErrNoKeys) {
		t.Errorf("with keys that are too old: %v", got)
	}
	if advice := service.AdviceNow(s, auth.ReasonNoKeys); !strings.Contains(advice, "max-stale") {
		t.Errorf("advice: %s", advice)
	}
	if all, failed := len(kept.lines("accounts.jwks")), s.Stats().Keys.Failed; failed > 20 && all > 20 {
		t.Errorf("%d lines of %d failures", all, failed)
	}
}

// A node with other keys than those of a JWKS is ready without them.
func TestOtherKeysAreEnough(t *testing.T) {
	issuer := httptest.NewServer(http.NotFoundHandler())
	defer issuer.Close()
	s, ctx, _ := logged(t, func(c *config.Config) {
		withAccounts(c)
		c.Accounts.JWKS.URL = issuer.URL
	})
	for s.Stats().Keys.Failures == 0 {
		if ctx.Err() != nil {
			t.Fatal("no fetch")
		}
		time.Sleep(time.Millisecond)
	}
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
}
