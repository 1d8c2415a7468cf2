package engine_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fanloop-go/fanloop/engine"
)

// childVariable holds the childConfig of a process that TestMain turns into a
// server. A server whose descriptors are counted or limited must not share them
// with the clients of the test.
const childVariable = "FANLOOP_TEST_SERVER"

// childConfig says which server a child process runs: one that echoes, on
// /late by way of another goroutine.
type childConfig struct {
	Loops          int
	MaxConnections int
	Descriptors    uint64 // limit of the process; 0: as it is
	MemoryLimit    int64  // as by GOMEMLIMIT; 0: none
	Flood          bool   // see flooder

	CertPEM, KeyPEM  []byte        // to speak TLS; nil: plain
	MaxHandshakes    int           // 0: the default
	HandshakeTimeout time.Duration // 0: an hour
	CloseTimeout     time.Duration // 0: the default
	Inherited        bool          // listen on the descriptors of LISTEN_FDS instead
}

// childMain is the main function of a child process.
func childMain(config string) (code int) {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := runChild(config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// runChild serves until its standard input ends. It prints its address on
// standard output and logs to standard error.
func runChild(config string) error {
	var cfg childConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return err
	}
	if n := cfg.Descriptors; n > 0 {
		if err := limitDescriptors(n); err != nil {
			return err
		}
	}
	if n := cfg.MemoryLimit; n > 0 {
		debug.SetMemoryLimit(n)
	}
	if cfg.HandshakeTimeout == 0 {
		cfg.HandshakeTimeout = time.Hour
	}
	late := newLateEcho()
	defer late.stop()
	srv := &engine.Server{
		Loops:         cfg.Loops,
		MaxHandshakes: cfg.MaxHandshakes,
		Limits: engine.Limits{
			MaxConnections: cfg.MaxConnections, HandshakeTimeout: cfg.HandshakeTimeout,
			CloseTimeout: cfg.CloseTimeout,
		},
		Callbacks: echo,
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			if req.Path() == "/late" {
				ws.OnText(late.echo)
			}
		},
		HTTP: http.NotFoundHandler(),
	}
	if cfg.Flood {
		f := &flooder{srv: srv}
		defer f.senders.Wait()
		srv.Callbacks.OnText = f.answer
	}
	if cfg.CertPEM != nil {
		cert, err := tls.X509KeyPair(cfg.CertPEM, cfg.KeyPEM)
		if err != nil {
			return err
		}
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	if cfg.Inherited {
		return serveInherited(srv)
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(addr)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return shutdown(srv)
}

// serveInherited serves what systemd, or who acts as it, has opened, and prints
// the names.
func serveInherited(srv *engine.Server) error {
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	var serving sync.WaitGroup
	for i := range names {
		const first = 3 // sd_listen_fds(3)
		f := os.NewFile(uintptr(first+i), names[i])
		nl, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			return err
		}
		serving.Go(func() { _ = srv.Serve(nl) })
	}
	slices.Sort(names)
	fmt.Println(slices.Compact(names))
	_, _ = io.Copy(io.Discard, os.Stdin)
	err := shutdown(srv)
	serving.Wait()
	return err
}

// flooder sends to those who ask for it as much as their connections take, and
// tells others how the process fares.
type flooder struct {
	srv     *engine.Server
	senders sync.WaitGroup
}

func (f *flooder) answer(ws *engine.WebSocket, text []byte) {
	switch string(text) {
	case "flood me":
		f.senders.Go(func() {
			for body := pattern(64 << 10); !errors.Is(ws.SendBinary(body), engine.ErrClosed); {
				runtime.Gosched()
			}
		})
	case "memory?":
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		status, _ := os.ReadFile("/proc/self/status")
		var peak uint64
		if _, line, ok := strings.Cut(string(status), "VmHWM:"); ok {
			_, _ = fmt.Sscan(line, &peak)
		}
		_ = ws.SendText(fmt.Sprint(f.srv.Stats().Ended[engine.CauseOverload], m.HeapAlloc, peak<<10, m.GCCPUFraction))
	default:
		_ = ws.Send(engine.Text, text)
	}
}

// lateEcho answers from another goroutine, when the connection may be gone and
// its descriptor another's.
type lateEcho struct {
	queue chan lateText
	done  sync.WaitGroup
}

type lateText struct {
	ws   *engine.WebSocket
	text []byte
}

func newLateEcho() *lateEcho {
	e := &lateEcho{queue: make(chan lateText, 4096)}
	e.done.Go(func() {
		for m := range e.queue {
			_ = m.ws.Send(engine.Text, m.text) // gone: nobody waits
		}
	})
	return e
}

func (e *lateEcho) echo(ws *engine.WebSocket, text []byte) {
	e.queue <- lateText{ws, bytes.Clone(text)}
}

// stop is for when the server has ended.
func (e *lateEcho) stop() {
	close(e.queue)
	e.done.Wait()
}

// child is a server in a process of its own.
type child struct {
	addr  string
	pid   int
	log   *lockedBuffer
	stdin io.Closer
	ended chan error
}

// startChild runs a server in a process of its own and ends it with the test.
func startChild(t *testing.T, cfg childConfig) *child {
	t.Helper()
	return startChildWith(t, cfg, func(*exec.Cmd) {})
}

// startChildWith is startChild with a last word about the command.
func startChildWith(t *testing.T, cfg childConfig, prepare func(*exec.Cmd)) *child {
	t.Helper()
	config, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	inherited := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GOMAXPROCS=") }) // it would be warned of
	cmd.Env = append(inherited, childVariable+"="+string(config))
	c := &child{log: new(lockedBuffer), ended: make(chan error, 1)}
	cmd.Stderr = c.log
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	prepare(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.pid = cmd.Process.Pid
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { c.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = c.stdin.Close()
		if err := within(t, "the end of the server's process", c.ended); err != nil {
			t.Errorf("the server's process: %v; its log:\n%s", err, c.log)
		}
	})
	if err != nil {
		t.Fatalf("the address of the server: %v; its log:\n%s", err, c.log)
	}
	c.addr = strings.TrimSpace(line)
	return c
}

// descriptors counts those of the server's process.
func (c *child) descriptors(t *testing.T) int {
	t.Helper()
	n, err := c.countDescriptors()
	if err != nil {
		t.Fatal("the server's process is gone or there is no /proc: ", err)
	}
	return n
}

func (c *child) countDescriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.pid))
	return len(entries), err
}

// logLines counts what the server logged, but not that a process that gets no
// CPU holds up its loops.
func (c *child) logLines() int {
	log := c.log.String()
	return strings.Count(log, "\n") - strings.Count(log, loopIsHeldUp)
}

// lockedBuffer collects what a process writes while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// longTests says whether the long versions of tests are asked for.
var longTests = os.Getenv("FANLOOP_LONG") == "1"

// limitDescriptors lowers the limit of this process to n. The fields are of
// another type on each system, so they are counted up instead of converted.
func limitDescriptors(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur, limit.Max = 0, 0
	for range n {
		limit.Cur++
		limit.Max++
	}
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
