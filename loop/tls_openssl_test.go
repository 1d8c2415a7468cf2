package loop

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program is a running openssl.
type program struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// openssl starts openssl with args. It is ended with the test.
func openssl(t *testing.T, args ...string) *program {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("what crypto/tls never sends itself needs openssl")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	return &program{in, bufio.NewReader(out)}
}

func (p *program) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(p.in, text); err != nil {
		t.Fatal(err)
	}
}

// expect reads until a line has text in it, and returns what follows it there.
func (p *program) expect(t *testing.T, text string) (rest string) {
	t.Helper()
	found := make(chan error, 1)
	go func() {
		for {
			line, err := p.out.ReadString('\n')
			if _, after, ok := strings.Cut(line, text); ok {
				rest, err = strings.TrimSpace(after), nil
			} else if err == nil {
				continue
			}
			found <- err
			return
		}
	}()
	if err := receive(t, found); err != nil {
		t.Fatalf("openssl ended before it said %q: %v", text, err)
	}
	return rest
}

// 'K' makes openssl update its keys and ask the other side to, 'k' its own
// only (RFC 8446 section 4.6.3).
func TestKeyUpdatesOfThePeer(t *testing.T) {
	for _, lent := range []bool{true, false} {
		old := lending.Swap(lent)
		server, _ := tlsConfigs(tls.VersionTLS13)
		g := start(t, Config{})
		s := newEcho()
		secure(s, asServer(server))
		ln := listen(t, g, nil, func(*Loop) Handler { return s })
		peer := openssl(t, "s_client", "-connect", ln.Addr().String(), "-tls1_3")
		for _, line := range []string{"before", "K", "after K", "k", "after k", "K", "K", "end"} {
			peer.write(t, line+"\n")
			if len(line) == 1 { // a command, which says so
				line = "KEYUPDATE"
			}
			peer.expect(t, line)
		}
		_ = s.Write(nil, []byte("from the server\n"))
		peer.expect(t, "from the server")
		peer.write(t, "Q\n")
		if err := receive(t, s.closed); err != nil {
			t.Error(err)
		}
		s.checkOrder(t)
		lending.Store(old)
	}
}

// The answer to a key update is queued while the data behind it is delivered.
func TestDetachRightAfterAKeyUpdateOfThePeer(t *testing.T) {
	server, _ := tlsConfigs(tls.VersionTLS13)
	g := start(t, Config{})
	s := newScripted()
	back := make(chan net.Conn, 1)
	s.onOpen = func(s *scripted) { s.PauseRead() }
	s.onData = func(s *scripted, b []byte) {
		if string(b) != "GET\n" {
			t.Errorf("got %q", b)
		}
		nc, err := s.Detach()
		if err != nil {
			t.Error(err)
		}
		back <- nc
	}
	handshakeOver := secure(s, asServer(server))
	ln := listen(t, g, nil, func(*Loop) Handler { return s })
	peer := openssl(t, "s_client", "-connect", ln.Addr().String(), "-tls1_3")
	receive(t, handshakeOver)
	peer.write(t, "K\n")
	peer.expect(t, "KEYUPDATE")
	peer.write(t, "GET\n")
	const keyUpdate, data = recordHeader + 5 + 17, recordHeader + 4 + 17 // with the content type and the tag
	eventually(t, "both records are here", func() bool { return unreadBytes(&s.Conn) == keyUpdate+data })
	s.ResumeRead()
	nc := receive(t, back)
	if nc == nil {
		t.FailNow()
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "answer\n"); err != nil {
		t.Fatal(err)
	}
	peer.expect(t, "answer")
	peer.write(t, "more\n")
	got := make([]byte, 5)
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != "more\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRenegotiationIsRefused(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS12)
	t.Run("asked for by a client", func(t *testing.T) {
		g := start(t, Config{})
		s := newEcho()
		secure(s, asServer(server))
		ln := listen(t, g, nil, func(*Loop) Handler { return s })
		peer := openssl(t, "s_client", "-connect", ln.Addr().String(), "-tls1_2", "-legacy_renegotiation")
		peer.write(t, "before\n")
		peer.expect(t, "before")
		peer.write(t, "R\n")
		if err := receive(t, s.closed); err == nil || !strings.Contains(err.Error(), "loop: TLS: ") {
			t.Errorf("OnClose said %v", err)
		}
		s.checkOrder(t)
	})
	t.Run("asked for by a server", func(t *testing.T) {
		peer := openssl(t, append([]string{"s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-naccept", "1"}, certificateFiles(t)...)...)
		addr := peer.expect(t, "ACCEPT")
		if addr == "" {
			t.Skip("this openssl does not tell which port it got")
		}
		g := start(t, Config{})
		s := newScripted()
		s.onEOF = func(s *scripted) { s.Close(CloseNow) }
		got := make(chan string, 10)
		s.onData = func(_ *scripted, b []byte) { got <- string(b) }
		client.Renegotiation = tls.RenegotiateFreelyAsClient
		handshakeOver := secure(s, asClient(client))
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Adopt(nc, s, nil); err != nil {
			t.Fatal(err)
		}
		receive(t, handshakeOver)
		peer.write(t, "hello\n")
		if text := receive(t, got); text != "hello\n" {
			t.Errorf("got %q", text)
		}
		peer.write(t, "r\n")
		if err := receive(t, s.closed); err == nil || !strings.Contains(err.Error(), "no renegotiation") {
			t.Errorf("OnClose said %v", err)
		}
		s.checkOrder(t)
	})
}

func certificateFiles(t *testing.T) (args []string) {
	t.Helper()
	cert := authority().server
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for option, block := range map[string]*pem.Block{
		"-cert": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		"-key":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		file := filepath.Join(dir, option)
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, option, file)
	}
	return args
}
