package cli

import (
	"slices"
	"testing"
)

func TestSelfSignedCertificateIsForTheHostOfAddrToo(t *testing.T) {
	local := []string{"localhost", "127.0.0.1", "::1"}
	for host, want := range map[string][]string{
		"": local, "0.0.0.0": local, "::": local, "Localhost": local, "127.0.0.1": local,
		"chat.example": append(slices.Clone(local), "chat.example"), "192.0.2.1": append(slices.Clone(local), "192.0.2.1"),
	} {
		if got := selfSignedHosts(host); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}
