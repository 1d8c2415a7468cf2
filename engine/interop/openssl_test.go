package interop

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

const opensslInstall = "apt-get install openssl"

// sclient is a running openssl s_client. What it prints about the connection
// goes to the same place as what it receives.
type sclient struct {
	t     *testing.T
	stdin io.Writer
	out   *lockedBuffer
	read  int // of out, by want
	ended chan error
}

func startSClient(t *testing.T, addr, ca string, args ...string) *sclient {
	t.Helper()
	path := program(t, opensslInstall, "openssl")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, append([]string{"s_client", "-connect", addr, "-servername", testkit.Host,
		"-verify_hostname", testkit.Host, "-CAfile", ca, "-verify_return_error"}, args...)...)
	s := &sclient{t: t, out: new(lockedBuffer), ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = s.out, s.out
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.stdin = stdin
	go func() { s.ended <- cmd.Wait() }()
	return s
}

// send gives s_client octets to send, or a command. A command is one that is
// read alone, so want has to stand before it.
func (s *sclient) send(octets string) {
	s.t.Helper()
	if _, err := io.WriteString(s.stdin, octets); err != nil {
		s.t.Fatalf("%v; openssl said %q", err, s.out)
	}
}

// want waits for these octets behind those that were waited for before.
func (s *sclient) want(octets string) {
	s.t.Helper()
	eventually(s.t, "openssl prints "+octets, func() bool {
		said := s.out.String()
		i := strings.Index(said[s.read:], octets)
		if i < 0 {
			return false
		}
		s.read += i + len(octets)
		return true
	})
}

// open finishes the opening handshake.
func (s *sclient) open() {
	s.t.Helper()
	s.send(testkit.UpgradeHead("a"))
	s.want("Sec-WebSocket-Accept: " + testkit.AcceptKey)
	s.want("\r\n\r\n")
}

// exchange sends a text and wants it back.
func (s *sclient) exchange(text string) {
	s.t.Helper()
	s.send(testkit.Masked(engine.Text, text))
	s.want(fromServer(engine.Text, text))
}

// close ends the connection in order; openssl, too, is content with its end.
func (s *sclient) close() {
	s.t.Helper()
	s.send(testkit.Masked(codec.Close, "\x03\xe8"))
	s.want(fromServer(codec.Close, "\x03\xe8"))
	if err := within(s.t, "the end of openssl", s.ended); err != nil {
		s.t.Errorf("openssl: %v; it said %q", err, s.out)
	}
}

func (s *sclient) said(pattern string) bool {
	return regexp.MustCompile(pattern).MatchString(s.out.String())
}

// openssl checks the certificate, closes and resumes by both versions.
func TestInteropOpenSSLResumes(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	addr := listenTLS(t, &engine.Server{Callbacks: echo}, id)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, id.CertPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"1.2", "1.3"} {
		t.Run(version, func(t *testing.T) {
			saved := filepath.Join(t.TempDir(), "saved.pem")
			flag := "-tls" + strings.ReplaceAll(version, ".", "_")
			first := startSClient(t, addr, ca, flag, "-sess_out", saved)
			first.open()
			first.exchange("hello")
			first.close()
			if !first.said("New, TLSv"+version) || !first.said(`Verify return code: 0 \(ok\)|Verification: OK`) {
				t.Errorf("openssl said %q", first.out)
			}
			again := startSClient(t, addr, ca, flag, "-sess_in", saved)
			again.open()
			again.exchange("hello again")
			again.close()
			if !again.said("Reused, TLSv" + version) {
				t.Errorf("the second connection is not resumed; openssl said %q", again.out)
			}
		})
	}
}

// New keys (RFC 8446 section 4.6.3) come in the middle of the conversation, by
// one side and by both.
func TestInteropOpenSSLUpdatesKeys(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	addr := listenTLS(t, &engine.Server{Callbacks: echo}, id)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, id.CertPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	s := startSClient(t, addr, ca, "-tls1_3")
	s.open()
	for _, command := range []string{"k\n", "K\n", "K\n", "k\n"} {
		s.exchange("before " + command)
		s.send(command)
		s.want("KEYUPDATE")
		s.exchange("after " + command)
	}
	s.close()
}
