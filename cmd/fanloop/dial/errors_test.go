package dial

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Who leaves the port out reads which one was tried.
func TestRefusedDialNamesItsPort(t *testing.T) {
	refused := func(addr net.Addr) error {
		return fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Addr: addr, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
	}
	for want, addr := range map[string]net.Addr{
		"ws://localhost/: nothing listens on port 80; is the server up?": &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80},
		"ws://localhost/: nothing listens there; is the server up?":      &net.UnixAddr{Name: "/run/echo", Net: "unix"},
	} {
		if got := new(dialOptions).dialError("ws://localhost/", refused(addr)).Error(); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
