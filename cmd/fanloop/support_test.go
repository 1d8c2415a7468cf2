package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/bench"
)

const asCommand = "FANLOOP_TEST_AS_COMMAND"

// TestMain lets the tests call this binary as the program.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(s) { // as in a background job of a script, or by nohup: the program would inherit it
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	code := m.Run()
	if code == 0 {
		err := goleak.Find()
		for end := time.Now().Add(patience); err != nil && time.Now().Before(end); {
			err = goleak.Find() // goroutines that were told to end need a CPU for it
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// patience bounds every wait for something that has to happen.
const patience = time.Minute

// transcript is what a process has written so far.
type transcript struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// next is closed at the next Write.
func (s *transcript) next() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.text.String(), s.changed
}

// await returns the text once it holds want.
func (s *transcript) await(t *testing.T, want string) string {
	t.Helper()
	late := time.After(patience)
	for {
		text, changed := s.next()
		if strings.Contains(text, want) {
			return text
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%q was not written; this was: %q", want, text)
		}
	}
}

// process is the program at work.
type process struct {
	cmd      *exec.Cmd
	out, err transcript
	exited   chan struct{}
}

// start runs the program. env is added to an environment without variables of
// the program.
func start(t *testing.T, in io.Reader, env []string, args ...string) *process {
	t.Helper()
	p := &process{exited: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = []string{asCommand + "=1", "GORACE=atexit_sleep_ms=0"} // or -race adds a second to each
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "FANLOOP_") {
			p.cmd.Env = append(p.cmd.Env, kv)
		}
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdin = in
	p.run(t)
	return p
}

// run starts cmd and ends it with the test.
func (p *process) run(t *testing.T) {
	t.Helper()
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says it all
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // gone already: all the better
		<-p.exited
	})
}

func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// signalUntilExit sends sig again and again: the program says nothing when the
// signal before has arrived.
func (p *process) signalUntilExit(t *testing.T, sig os.Signal) {
	t.Helper()
	late := time.After(patience)
	for {
		_ = p.cmd.Process.Signal(sig) // gone meanwhile: that is wanted
		select {
		case <-p.exited:
			return
		case <-late:
			t.Fatal("the program goes on")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// wait returns how the program ended.
func (p *process) wait(t *testing.T) syscall.WaitStatus {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("the program goes on; stderr: %s", &p.err)
	}
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// silence is a stdin that says nothing and stays open.
func silence(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r
}

// result is what a program that ended left.
type result struct {
	code     int
	out, err string
}

// command runs the program to its end.
func command(t *testing.T, stdin string, env []string, args ...string) result {
	t.Helper()
	p := start(t, strings.NewReader(stdin), env, args...)
	return result{p.wait(t).ExitStatus(), p.out.String(), p.err.String()}
}

// echoServer is fanloop echo on a free port.
type echoServer struct {
	*process
	addr   string
	scheme string // ws or wss
}

func startEcho(t *testing.T, args ...string) *echoServer {
	t.Helper()
	p := start(t, nil, nil, append([]string{"echo", "--addr", "127.0.0.1:0"}, args...)...)
	line := p.out.await(t, "\n")
	var web, socket string
	if _, err := fmt.Sscanf(line, "listening on http%s ws%s\n", &web, &socket); err != nil || web != socket {
		t.Fatalf("ready line %q: %v", line, err)
	}
	secure, addr, _ := strings.Cut(strings.TrimSuffix(web, "/"), "://")
	return &echoServer{p, addr, "ws" + secure}
}

func (s *echoServer) url(path string) string { return s.scheme + "://" + s.addr + path }

func (s *echoServer) dial(t *testing.T, path string, header http.Header) *websocket.Conn {
	t.Helper()
	return dialURL(t, s.url(path), header)
}

func dialURL(t *testing.T, url string, header http.Header) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), url, header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	return ws
}

// peer is a server that treats every connection by fn, and its URL.
func peer(t *testing.T, fn func(ws *websocket.Conn, r *http.Request)) string {
	t.Helper()
	var serving sync.WaitGroup
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1)
		defer serving.Done()
		upgrader := websocket.Upgrader{
			CheckOrigin:  func(*http.Request) bool { return true },
			Subprotocols: []string{"chat"},
		}
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		_ = ws.SetReadDeadline(time.Now().Add(patience))
		fn(ws, r)
	}))
	t.Cleanup(func() {
		serving.Wait()
		srv.Close()
	})
	return "ws" + strings.TrimPrefix(srv.URL, "http")
}

// eventually waits for a condition that has no event to wait for.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// identity is a certificate in PEM files.
type identity struct {
	certFile, keyFile string
	cert              tls.Certificate
}

// newIdentity makes a certificate for 127.0.0.1 and writes its files to dir.
func newIdentity(t *testing.T, dir string) *identity {
	t.Helper()
	cert, err := bench.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	id := &identity{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), cert}
	for file, block := range map[string]*pem.Block{
		id.certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		id.keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

// client is the configuration of a client that trusts id.
func (id *identity) client() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(id.cert.Leaf)
	return &tls.Config{RootCAs: pool}
}
