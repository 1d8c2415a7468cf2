package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// fanloop chat says where it is, serves until it is asked to end, and ends in order.
func TestChatServesUntilItIsAskedToEnd(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"chat", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", t.TempDir(), "--log-level", "error"}, cli.Stdio{Out: out, Err: os.Stderr})
	}()
	said := bufio.NewReader(lines)
	ready, err := said.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if second, err := said.ReadString('\n'); err != nil || !strings.Contains(second, "without accounts") {
		t.Errorf("%q, %v", second, err)
	}
	third, err := said.ReadString('\n')
	if fourth, err := said.ReadString('\n'); err != nil || !strings.HasPrefix(fourth, "messages: kept in ") {
		t.Errorf("%q, %v", fourth, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if status := statusOf(t, strings.Fields(third)[1]); !strings.HasSuffix(third, "/admin\n") || status != http.StatusOK {
		t.Errorf("%s is answered with %d", third, status)
	}
	var answer strings.Builder
	hello := `{"type":"connect","ref":1,"version":1,"user":"ann"}` + "\n"
	code := run(ctx, []string{"dial", strings.Fields(ready)[3], "--count", "1"}, cli.Stdio{In: strings.NewReader(hello), Out: &answer, Err: os.Stderr})
	if code != exitOK || !strings.Contains(answer.String(), `"type":"connected"`) {
		t.Errorf("%d, %q", code, &answer)
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Error(code)
	}
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}

// What is given wrong is said with what to do, and with 2 where it is wrong usage.
func TestChatSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	free := "127.0.0.1:0"
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--listen", taken.Addr().String(), "--admin", free}, exitFailed, "is in use: stop what listens there, or choose another port with --listen\n"},
		{[]string{"--listen", free, "--admin", taken.Addr().String()}, exitFailed, "is in use: stop what listens there, or choose another port with --admin\n"},
		{[]string{"--listen", free, "--admin", free, "--data-dir", file}, exitFailed, "fanloop: service: data-dir " + file + ": "},
		{[]string{"--listen", free, "--admin", free, "--nats-listen", taken.Addr().String()}, exitFailed, "address already in use"},
		{[]string{"--listen", "127.0.0.1:99999"}, exitUsage, `fanloop: --listen: "127.0.0.1:99999" has no port from 0 to 65535` + "\n"},
		{[]string{"--listen", "nosuch.invalid:80"}, exitUsage, "fanloop: --listen: without accounts"},
		{[]string{"--admin", "0.0.0.0:8001"}, exitUsage, "fanloop: --admin: other machines reach this address"},
		{[]string{"--shutdown-timeout", "-1s"}, exitUsage, `fanloop: --shutdown-timeout "-1s": want a duration that is not negative`},
		{[]string{"--config", "/nowhere"}, exitUsage, "fanloop: --config: open /nowhere: no such file"},
	} {
		var out, said strings.Builder
		code := run(t.Context(), append([]string{"chat"}, tt.args...), cli.Stdio{Out: &out, Err: &said})
		if code != tt.code || !strings.Contains(said.String(), tt.want) || out.Len() > 0 {
			t.Errorf("%q: %d, %q, %q; want %d, %s", tt.args, code, &out, &said, tt.code, tt.want)
		}
	}
}

// A folder of a single node is refused to a node of a cluster, and the reverse, before its
// messages are lost or hidden.
func TestChatRefusesTheFolderOfAnotherMode(t *testing.T) {
	const routes = "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"
	for _, tt := range []struct {
		has, record string
		args        []string
		want        string
	}{
		{"$G/streams/chat", "", []string{"--name", "n1", "--cluster", "127.0.0.1:1", "--routes", routes},
			"has the messages of a node without --cluster and --routes: start it without them as before, or choose another folder with --data-dir"},
		{"$SYS/_js_/_meta_", "", nil, "has the messages of a node of a cluster: start it with its --name, --cluster and --routes as before"},
		{"$SYS/_js_/_meta_", `{"cluster":"fanloop","name":"n2"}`, []string{"--name", "n1", "--cluster", "127.0.0.1:1", "--routes", routes},
			`has the messages of node "n2" of a cluster: start it with its --name, --cluster and --routes as before`},
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "jetstream", tt.has), 0o750); err != nil {
			t.Fatal(err)
		}
		if tt.record != "" {
			if err := os.WriteFile(filepath.Join(dir, "mode.json"), []byte(tt.record), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var said strings.Builder
		code := run(t.Context(), append([]string{"chat", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", dir}, tt.args...), cli.Stdio{Out: io.Discard, Err: &said})
		if want := "fanloop: --data-dir " + dir + " " + tt.want; code != exitUsage || !strings.Contains(said.String(), want) {
			t.Errorf("%d, %q; want %q", code, &said, want)
		}
	}
}

// A signal while a node waits for others ends it in order, and it has said for whom it
// waits once.
func TestChatIsEndedWhileItWaits(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var free []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		free = append(free, l.Addr().String())
		_ = l.Close()
	}
	said := newPatient(func(text string) bool { return strings.Contains(text, "waiting for other nodes") })
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{
			"chat", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", t.TempDir(), "--name", "n1",
			"--cluster", free[0], "--routes", strings.Join(free, ","),
		}, cli.Stdio{Out: io.Discard, Err: said})
	}()
	<-said.found
	stop()
	if code := <-ended; code != exitOK || strings.Contains(said.String(), "fanloop:") || strings.Contains(said.String(), "<nil>") {
		t.Errorf("%d, %s", code, said)
	}
}

// patient is what is written, until something is found in it.
type patient struct {
	mu    sync.Mutex
	text  strings.Builder // guarded by mu
	is    func(string) bool
	found chan struct{}
	once  sync.Once
}

func newPatient(is func(string) bool) *patient { return &patient{is: is, found: make(chan struct{})} }

func (p *patient) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(b)
	if p.is(p.text.String()) {
		p.once.Do(func() { close(p.found) })
	}
	return len(b), nil
}

func (p *patient) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// A variable that begins as those of the chat and is none is named, with what may be
// meant.
func TestUnknownVariablesAreNamed(t *testing.T) {
	t.Setenv("FANLOOP_CHAT_LISEN", "127.0.0.1:0")
	t.Setenv("FANLOOP_CHAT_LISTEN", "127.0.0.1:0")
	t.Setenv("FANLOOP_CHAT_SERVICE_HOST", "10.0.0.1") // as Kubernetes has it
	got := cli.UnknownVariables(subcommand(t, "chat"))
	const none = " has no effect: there is no flag for it"
	want := []string{"FANLOOP_CHAT_LISEN" + none + "; did you mean FANLOOP_CHAT_LISTEN?", "FANLOOP_CHAT_SERVICE_HOST" + none}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
