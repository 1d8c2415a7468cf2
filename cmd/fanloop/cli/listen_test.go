package cli

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
)

func TestListenErrorSaysWhatToDo(t *testing.T) {
	for _, k := range []struct {
		err  error
		want string
	}{
		{syscall.EACCES, ":80 is not allowed: ports below 1024 need privileges; choose a higher one with --addr"},
		{&net.DNSError{Name: "host", IsNotFound: true}, `:80: cannot find "host": give --addr an address of this machine as host:port`},
		{errors.New("odd"), "cannot listen on :80: wrapped: odd"},
	} {
		if got := ListenError("--addr", ":80", fmt.Errorf("wrapped: %w", k.err)); got.Error() != k.want {
			t.Errorf("%v: %q, want %q", k.err, got, k.want)
		}
	}
}
