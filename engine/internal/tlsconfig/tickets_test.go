package tlsconfig

import (
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// greet serves the connections of nl: each gets one byte, behind the tickets.
func greet(nl net.Listener) {
	for {
		c, err := nl.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = c.Write([]byte{'\n'})
			_ = c.(*tls.Conn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		}()
	}
}

// listen serves config, adapted for a listener of its own, and returns the address.
func listen(t *testing.T, config *tls.Config) string {
	t.Helper()
	nl, err := tls.Listen("tcp", "127.0.0.1:0", Server(config, NoHTTP2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nl.Close() })
	go greet(nl)
	return nl.Addr().String()
}

// resumes reports whether a connection to addr goes on with a session.
func resumes(t *testing.T, addr string, config *tls.Config) bool {
	t.Helper()
	c, err := tls.Dial("tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil { // the tickets of TLS 1.3 come before it
		t.Fatal(err)
	}
	return c.ConnectionState().DidResume
}

// A session that one listener of a configuration began goes on at another, and keys that
// are set later count for all of them.
func TestListenersOfOneConfigurationShareTickets(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			id := testkit.NewIdentity(t, "server.test")
			server, client := id.Server(), id.Client()
			client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(4)
			addrs := []string{listen(t, server), listen(t, server)}
			for i, want := range []bool{false, true, true} {
				if got := resumes(t, addrs[i%2], client); got != want {
					t.Errorf("connection %d: resumed is %t, want %t", i, got, want)
				}
			}
			server.SetSessionTicketKeys([][32]byte{{1}})
			for i, want := range []bool{false, true} {
				if got := resumes(t, addrs[i], client); got != want {
					t.Errorf("with other keys, connection %d: resumed is %t, want %t", i, got, want)
				}
			}
		})
	}
}

// What wraps tickets already is left alone.
func TestTicketsOfTheProgramAreLeftAlone(t *testing.T) {
	id := testkit.NewIdentity(t, "server.test")
	server, client := id.Server(), id.Client()
	client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	wrapped := make(chan struct{}, 8)
	server.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		wrapped <- struct{}{}
		return server.EncryptTicket(cs, ss)
	}
	resumes(t, listen(t, server), client)
	if len(wrapped) == 0 {
		t.Error("WrapSession was not called")
	}
}

// OpenSSL resumes a session at another listener, too.
func TestOpenSSLResumesSessions(t *testing.T) {
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl")
	}
	server := testkit.NewIdentity(t, "server.test").Server()
	session := filepath.Join(t.TempDir(), "session")
	for _, c := range []struct{ flag, want string }{{"-sess_out", "New, TLSv1.3"}, {"-sess_in", "Reused, TLSv1.3"}} {
		out, err := exec.CommandContext(t.Context(), path, "s_client", "-connect", listen(t, server),
			"-servername", testkit.Host, "-ign_eof", c.flag, session).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Fatalf("%s: %v; openssl does not say %q:\n%s", c.flag, err, c.want, out)
		}
	}
}
