package proxies_test

import (
	"net/http"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
)

// Names are written as net/http has them, so that they are found.
func TestNamesAreFound(t *testing.T) {
	for _, name := range proxies.Names {
		if got := proxies.Shown((http.Header{name: {"x"}}).Values); got != name {
			t.Errorf("%s: found as %q", name, got)
		}
	}
	if got := proxies.Shown((http.Header{"Accept": {"x"}, "User-Agent": {"x"}}).Values); got != "" {
		t.Errorf("%q shows a proxy", got)
	}
}
