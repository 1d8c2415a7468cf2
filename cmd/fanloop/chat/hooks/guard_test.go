package hooks

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// X38: which addresses a hook may connect to.
func TestAllowedAddresses(t *testing.T) {
	never := "0.0.0.0 :: 169.254.169.254 169.254.1.1 fe80::1 224.0.0.1 ff02::1 ::ffff:169.254.169.254 fe80::1%eth0"
	private := "127.0.0.1 ::1 10.1.2.3 172.16.0.1 192.168.1.1 fc00::1 fd00:ec2::254 100.64.0.1 0.1.2.3 192.0.0.1 198.18.0.1 203.0.113.5 " +
		"240.0.0.1 255.255.255.255 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: 2001:db8::1 2001::1 ::7f00:1 100::1"
	public := "1.1.1.1 8.8.8.8 2606:4700:4700::1111 172.32.0.1 100.128.0.1 ::ffff:8.8.8.8 192.0.1.1"
	for _, tt := range []struct {
		addresses string
		usually   bool
		guarded   bool
	}{{never, false, false}, {private, true, false}, {public, true, true}} {
		for text := range strings.FieldsSeq(tt.addresses) {
			ip := netip.MustParseAddr(text)
			if got := allowed(ip, false); got != tt.usually {
				t.Errorf("%s: %v", text, got)
			}
			if got := allowed(ip, true); got != tt.guarded {
				t.Errorf("%s with PublicOnly: %v", text, got)
			}
		}
	}
	if allowed(netip.Addr{}, false) {
		t.Error("no address is allowed")
	}
}

// The guard looks at the address that a connection goes to, whatever the URL says, and
// without it the same URL works.
func TestGuardIsInForce(t *testing.T) {
	var asked atomic.Int64
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(`{"allow":true}`))
	}))
	defer backend.Close()
	for _, url := range []string{backend.URL, strings.Replace(backend.URL, "127.0.0.1", "localhost", 1)} {
		for _, publicOnly := range []bool{true, false} {
			before := asked.Load()
			h, err := New(Config{Kind: Subscribe, URL: url, Timeout: time.Minute, Secrets: []string{strings.Repeat("s", 32)}, PublicOnly: publicOnly})
			if err != nil {
				t.Fatal(err)
			}
			a, err := h.Ask(context.Background(), Question{})
			if a.Allow == publicOnly || errors.Is(err, errAddress) != publicOnly || (asked.Load() == before) != publicOnly {
				t.Errorf("%s, PublicOnly %v: %+v, %v, asked %v", url, publicOnly, a, err, asked.Load() != before)
			}
			h.client.CloseIdleConnections()
		}
	}
}
