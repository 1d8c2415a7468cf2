package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
)

// runBench runs fanloop bench with args to its end.
func runBench(t *testing.T, args ...string) result {
	t.Helper()
	return command(t, "", nil, append([]string{"bench"}, args...)...)
}

// short makes one round of a moment on any CPU.
func short(args ...string) []string {
	args = append(args, "--servers", "fanloop", "--server-cpus", "any", "--client-cpus", "any", "--rounds", "1")
	if args[0] == "idle" || slices.Contains(args, "--rate") {
		return append(args, "--duration", "100ms")
	}
	return append(args, "--slice", "10ms")
}

// readReport reads what bench --json wrote.
func readReport(path string) (*report.Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return report.Read(bytes.NewReader(text))
}

func TestBenchReportsInEveryForm(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "r")
	r := runBench(t, short("echo", "--conns", "5", "--json", base+".json", "--html", base+".html", "--md", base+".md")...)
	if r.code != exitOK || !strings.Contains(r.out, "### echo5x64") || !strings.Contains(r.out, "| fanloop") {
		t.Fatalf("%+v", r)
	}
	if r.err != "" {
		t.Errorf("progress is shown where there is no terminal: %q", r.err)
	}
	if text, err := os.ReadFile(base + ".md"); err != nil || string(text) != r.out {
		t.Errorf("the markdown differs from what was printed; error %v", err)
	}
	if text, err := os.ReadFile(base + ".html"); err != nil || !bytes.Contains(text, []byte("echarts.init")) {
		t.Errorf("no chart on the page; error %v", err)
	}
	r = runBench(t, "compare", base+".json", base+".json")
	if r.code != exitOK || !strings.Contains(r.out, "server µs/msg") {
		t.Errorf("compare: %+v", r)
	}
}

func TestBenchSuiteKeepsItsReports(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	if r := runBench(t, short("suite", "--scenarios", "echo5x64,connect4", "--time", "1ms", "--out", dir)...); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	for _, ext := range []string{"json", "html", "md"} {
		if files, _ := filepath.Glob(filepath.Join(dir, "20*-*."+ext)); len(files) != 1 {
			t.Errorf("%d files *.%s", len(files), ext)
		}
	}
}

func TestBenchFailsWithOneLineThatSaysWhatToDo(t *testing.T) {
	down := closedPort(t) + "/"
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	upgrader := websocket.Upgrader{}
	midway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws, err := upgrader.Upgrade(w, r, nil); err == nil {
			_, _, _ = ws.ReadMessage()
			ws.Close()
		}
	}))
	defer midway.Close()
	notAReport := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(notAReport, []byte("<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	ws := func(srv *httptest.Server) string { return "ws" + strings.TrimPrefix(srv.URL, "http") + "/" }
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"down", []string{"echo", "--target", down}, exitFailed, "start the server"},
		{"only HTTP", []string{"echo", "--target", ws(web)}, exitFailed, "opens no WebSocket at this path"},
		{"closes midway", []string{"echo", "--target", ws(midway)}, exitFailed, "the server closed connection"},
		{"rate", append(short("echo", "--rate", "50000000", "--conns", "2"), "--duration", "1h"), exitFailed, "lower the rate"},
		{"descriptors", short("idle", "--conns", "9000000"), exitFailed, "ulimit"},
		{"no report", []string{"compare", notAReport, notAReport}, exitFailed, "no report"},
		{"no file", []string{"compare", "nofile.json", "nofile.json"}, exitFailed, "no such file"},
		{"no folder", short("echo", "--json", "no/folder/r.json"), exitFailed, "its folder does not exist"},
		{"CPU", []string{"echo", "--server-cpus", "1000"}, exitFailed, "cannot be used here"},
		{"unknown kind", []string{"walk"}, exitUsage, "unknown command"},
		{"no servers", []string{"echo", "--servers", ""}, exitUsage, "no servers to measure"},
		{"one file twice", short("echo", "--json", notAReport, "--html", notAReport), exitUsage, "the same file"},
		{"size", short("echo", "--size", "3"), exitUsage, "16 bytes"},
		{"compression", short("echo", "--compression", "brotli"), exitUsage, "brotli"},
		{"served compression", []string{"serve", "--compression", "brotli"}, exitUsage, "brotli"},
		{"payload", short("echo", "--payload", "xml"), exitUsage, "xml"},
		{"small JSON", short("echo", "--payload", "json", "--size", "64"), exitUsage, "160 or more"},
		{"ws and TLS", []string{"echo", "--tls", "--target", down}, exitUsage, "TLS is for both"},
		{"no slice", []string{"echo", "--slice", "0s"}, exitUsage, "--slice"},
		{"no rounds", []string{"suite", "--rounds", "0"}, exitUsage, "--rounds"},
		{"unknown base", []string{"echo", "--base", "gorilla", "--servers", "floor,fanloop"}, exitUsage, "floor, fanloop"},
		{"scheme", []string{"echo", "--target", "ftp://127.0.0.1/"}, exitUsage, "ws://"},
		{"CPU list", []string{"echo", "--server-cpus", "x"}, exitUsage, "CPUs"},
		{"scenario", []string{"suite", "--scenarios", "walk5"}, exitUsage, "walk5"},
		{"server", []string{"echo", "--servers", "x=y"}, exitUsage, "{addr}"},
		{"unknown server", []string{"echo", "--servers", "floor,nosuch", "--peers-dir", "../../bench/peers"}, exitUsage, "gorilla"},
		{"one file", []string{"compare", notAReport}, exitUsage, "two files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runBench(t, c.args...)
			lines := strings.Count(r.err, "\n")
			if r.code == exitUsage {
				lines-- // "Run ... for usage."
			}
			if r.code != c.code || !strings.Contains(r.err, c.want) || lines != 1 || r.out != "" {
				t.Fatalf("%+v, want code %d and one line with %q", r, c.code, c.want)
			}
		})
	}
}

// With --greeting, a server that sends a message first is measured.
func TestBenchIgnoresAGreetingWhenTold(t *testing.T) {
	url := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		_ = ws.WriteMessage(websocket.TextMessage, []byte("Welcome"))
		_ = ws.WriteMessage(websocket.BinaryMessage, nil)
		for {
			kind, p, err := ws.ReadMessage()
			if err != nil || ws.WriteMessage(kind, p) != nil {
				return
			}
		}
	})
	args := []string{"echo", "--target", url, "-c", "3", "--rate", "50", "-d", "200ms", "--rounds", "1", "--client-cpus", "any"}
	if r := runBench(t, append(args, "--greeting", "2")...); r.code != exitOK || !strings.Contains(r.out, "### echo3x64@50") {
		t.Errorf("with --greeting: %+v", r)
	}
	r := runBench(t, args...)
	if r.code != exitFailed || !strings.Contains(r.err, "6 corrupt") || !strings.HasSuffix(r.err, "; if it greets, say by how many messages with --greeting\n") {
		t.Errorf("without --greeting: %+v", r)
	}
	r = runBench(t, "echo", "--greeting", "1")
	if r.code != exitUsage || !strings.Contains(r.err, "--greeting and --pid are for --target") {
		t.Errorf("without --target: %+v", r)
	}
}

// Nothing measured is no success.
func TestBenchFailsWhereNoServerCanDoWhatIsNeeded(t *testing.T) {
	r := runBench(t, "fanout", "--conns", "4", "--publishers", "2", "--topics", "2", "--servers", "floor")
	if strings.Contains(r.err, "not available here") {
		t.Skip(r.err)
	}
	if r.code != exitFailed || !strings.Contains(r.err, "floor: it has no topics") || strings.Count(r.err, "\n") != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestBenchServeSpeaksTheBenchProtocol(t *testing.T) {
	p := start(t, nil, nil, "bench", "serve", "--addr", "127.0.0.1:0", "--loops", "1")
	addr := regexp.MustCompile(`listening (\S+)`).FindStringSubmatch(p.out.await(t, "listening "))[1]
	g, err := load.Start(t.Context(), load.Config{Target: "ws://" + addr + "/any/path", Mode: load.Fanout, Conns: 10, Burst: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := g.Measure(t.Context(), 0, 100*time.Millisecond, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := g.Settle(t.Context(), m.Published); err != nil || !f.None() {
		t.Fatalf("faults %+v, error %v", f, err)
	}
	p.signal(t, syscall.SIGUSR1)
	p.err.await(t, "heap_bytes=")
}

func TestBenchMeasuresTLSAndCompression(t *testing.T) {
	r := runBench(t, short("echo", "--conns", "5", "--tls", "--compression", "deflate")...)
	if r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{"### echo5x1k+tls+deflate", "| fanloop plain", "to plain", "without tls and deflate"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is missing in\n%s", want, r.out)
		}
	}
}

// The ledger is what the server logs, and context takeover shows in it.
func TestBenchShowsTheLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	r := runBench(t, short("idle", "--conns", "20", "--compression", "takeover", "--json", path)...)
	kept, err := readReport(path)
	if r.code != exitOK || err != nil {
		t.Fatalf("%+v, error %v", r, err)
	}
	results := kept.Of("idle20+takeover")
	held, plain := results[0].Figures("ledger_conn"), results[1].Figures("ledger_conn")
	if len(held) != 1 || len(plain) != 1 || plain[0] < 200 || held[0] < plain[0]+4096 {
		t.Errorf("the ledger says %v bytes a connection, %v without takeover", held, plain)
	}
}

func TestBenchPeersAreSaidToBeMissing(t *testing.T) {
	r := runBench(t, "serve", "--peer", "gorilla", "--peers-dir", t.TempDir())
	if r.code != exitFailed || !strings.Contains(r.err, "not available here") {
		t.Fatalf("%+v", r)
	}
	r = runBench(t, append(short("echo", "--conns", "2", "--peers-dir", t.TempDir()), "--servers", "all")...)
	if r.code != exitOK || !strings.Contains(r.out, "- peers: not available here") {
		t.Fatalf("%+v", r)
	}
}

func TestBenchKeepsEveryRound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if r := runBench(t, append(short("echo", "--conns", "2", "--json", path), "--rounds", "3")...); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	kept, err := readReport(path)
	if err != nil || len(kept.Of("echo2x64")[0].Figures(report.CPU)) != 3 {
		t.Fatalf("%+v, error %v", kept, err)
	}
}

// Two builds of fanloop take turns in one run, and each is compared with the other.
func TestBenchComparesTwoBuilds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	args := append(short("echo", "--conns", "2", "--json", path), "--servers", "old="+os.Args[0], "--base", "old", "--rounds", "5")
	r := runBench(t, args...)
	if r.code != exitOK || !strings.Contains(r.out, "to old") || !strings.Contains(r.out, "- old fanloop ") {
		t.Fatalf("%+v", r)
	}
	kept, err := readReport(path)
	if err != nil || !slices.Equal(kept.Bases, []string{"old"}) {
		t.Fatalf("bases %v, error %v", kept.Bases, err)
	}
	ours := kept.Of("echo2x64")[0]
	if len(ours.Rounds) != 5 || len(ours.Ratios) != 1 || ours.Ratios[0].To != "old" || ours.Ratios[0].Low <= 0 || ours.Ratios[0].High < ours.Ratios[0].Low {
		t.Errorf("%d rounds, ratios %+v", len(ours.Rounds), ours.Ratios)
	}
}

// Topics with a history are measured by commands of their own.
func TestBenchHistoryAndRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	r := runBench(t, "history", "--topics", "20", "--conns", "2", "--rate", "100", "--time", "100ms", "--shards", "1", "--json", path)
	if r.code != exitOK || r.err != "" || !strings.Contains(r.out, "delivery  ") {
		t.Errorf("%+v", r)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.Contains(text, []byte("\"Delivered\":10")) {
		t.Errorf("%s, %v", text, err)
	}
	r = runBench(t, "room", "--conns", "20", "--per-process", "12", "--messages", "3", "--every", "0")
	if r.code != exitOK || r.err != "" || !strings.Contains(r.out, "60 of 60") || !strings.Contains(r.out, "20 on 2 nodes") {
		t.Errorf("%+v", r)
	}
	if r := runBench(t, "room", "--conns", "0"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}

// Users of a chat service that bench starts itself, in processes of its own.
func TestBenchChat(t *testing.T) {
	base := filepath.Join(t.TempDir(), "r")
	small := []string{"chat", "--users", "30", "--rooms", "3", "--talkers", "10", "--rate", "150", "--reads", "20", "--duration", "1s",
		"--warm-up", "200ms", "--away", "100ms", "--deadline", "1m", "--server-cpus", "any", "--client-cpus", "any"}
	r := runBench(t, append(small, "--reconnects", "0.3", "--json", base+".json", "--html", base+".html", "--md", base+".md")...)
	if r.code != exitOK || r.err != "" {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{"chat30r3x128@150+cuts", "server µs/msg", "RSS/conn", "after SIGUSR1", "heap/conn", "cut off ", "resumed p99", "page p50"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is missing in\n%s", want, r.out)
		}
	}
	kept, err := readReport(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{"reach": 1, "messages": 180, "deliveries": 1800, "cut_off": 9} {
		if got := kept.Results[0].Figures(key); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	if text, err := os.ReadFile(base + ".html"); err != nil || !bytes.Contains(text, []byte("echarts.init")) {
		t.Errorf("no chart on the page; error %v", err)
	}
	if text, err := os.ReadFile(base + ".md"); err != nil || !bytes.Contains(text, []byte("| reach | 100 % |")) {
		t.Errorf("%s, %v", text, err)
	}
}

// A preset says what it is to reach; flags change it.
func TestBenchChatPreset(t *testing.T) {
	r := runBench(t, "chat", "--preset", "big-room", "--users", "20", "--talkers", "20", "--rate", "100", "--duration", "300ms", "--warm-up", "0",
		"--reconnects", "0", "--deadline", "1m", "--encoding", "cbor", "--server-cpus", "any", "--client-cpus", "any")
	if r.code != exitOK || !strings.Contains(r.out, "chat20r1x128@100+cbor") {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{"goal: reach 100 %", "reached: 100 %", "goal: p99 at most 250 ms", "goal: RSS/conn at most 4096 B"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is missing in\n%s", want, r.out)
		}
	}
}

func TestBenchChatSaysWhatIsWrong(t *testing.T) {
	down := "ws://" + strings.TrimPrefix(closedPort(t), "ws://") + "/v1/socket"
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--users", "0"}, exitUsage, "0 users: want 1 to a million"},
		{[]string{"--rooms", "0"}, exitUsage, "0 rooms"},
		{[]string{"--rooms-per-user", "9", "--rooms", "3"}, exitUsage, "want 1 to 3"},
		{[]string{"--talkers", "2000"}, exitUsage, "2000 talkers"},
		{[]string{"--rate", "0"}, exitUsage, "0 messages a second"},
		{[]string{"--size", "3"}, exitUsage, "messages of 3 bytes"},
		{[]string{"--duration", "0"}, exitUsage, "times are positive"},
		{[]string{"--rounds", "0"}, exitUsage, "--rounds"},
		{[]string{"--preset", "small-room"}, exitUsage, "big-room"},
		{[]string{"--encoding", "xml"}, exitUsage, "json or cbor"},
		{[]string{"--sizes", "odd"}, exitUsage, "zipf"},
		{[]string{"--reconnects", "1"}, exitUsage, "--reconnects"},
		{[]string{"--pid", "1"}, exitUsage, "--pid and --admin are for --url"},
		{[]string{"--server-cpus", "x"}, exitUsage, "--server-cpus"},
		{[]string{"--url", "ftp://127.0.0.1/"}, exitUsage, "--url"},
		{[]string{"--json", "no/folder/r.json"}, exitFailed, "its folder does not exist"},
		{[]string{"--server-cpus", "1000"}, exitFailed, "cannot be used here"},
		{[]string{"--url", down, "--client-cpus", "any"}, exitFailed, "start the service"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			r := runBench(t, append([]string{"chat"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.err, c.want) {
				t.Errorf("%+v, want code %d and %q", r, c.code, c.want)
			}
		})
	}
}
