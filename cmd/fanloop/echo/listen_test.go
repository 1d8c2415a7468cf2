package echo

import (
	"net"
	"testing"
)

func TestReadyLineNamesAnAddressToOpen(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:9001": "listening on http://127.0.0.1:9001/  ws://127.0.0.1:9001/",
		"[::1]:9001":     "listening on http://[::1]:9001/  ws://[::1]:9001/",
		"[::]:9001":      "listening on http://localhost:9001/  ws://localhost:9001/  (on every interface)",
		"0.0.0.0:9001":   "listening on http://localhost:9001/  ws://localhost:9001/  (on every interface)",
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := ready(tcp, false); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}
