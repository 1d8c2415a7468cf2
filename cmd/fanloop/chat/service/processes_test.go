package service_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// nodeVariable has the settings of a node that this program is to be, in place of tests.
const nodeVariable = "FANLOOP_CHAT_TEST_NODE"

// beNode serves until its stdin ends, as it does with the test.
func beNode(settings string) {
	c, err := config.Parse("node", []byte(settings))
	if err == nil {
		var s *service.Service
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
		if s, err = service.Start(context.Background(), c, log); err == nil {
			fmt.Println(s.Addr())
			_, _ = io.Copy(io.Discard, os.Stdin)
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// process is a node in a process of its own.
type process struct {
	cmd  *exec.Cmd
	out  io.Reader
	addr string // when it is ready
}

func startProcess(t *testing.T, settings string) *process {
	t.Helper()
	p := launch(t, settings)
	p.ready(t)
	return p
}

// launch starts a process. Nodes of a cluster are ready when enough were launched.
func launch(t *testing.T, settings string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), nodeVariable+"="+settings)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, out: out}
	t.Cleanup(p.kill)
	return p
}

// ready returns when the node serves.
func (p *process) ready(t *testing.T) {
	t.Helper()
	line, err := bufio.NewReader(p.out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.addr = strings.TrimSpace(line)
}

// kill is SIGKILL, once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// reader is a client that goes on, on the next node, where its connection ended.
type reader struct {
	t   *testing.T
	ctx context.Context
	ws  *pull.Conn
	pos *protocol.Position
	got []string
}

// connect subscribes on a node, at the position.
func (r *reader) connect(addr string) {
	r.t.Helper()
	var err error
	if r.ws, err = pull.Dial(r.ctx, "ws://"+addr+"/v1/socket", nil); err != nil {
		r.t.Fatal(err)
	}
	var message []byte
	for _, c := range []protocol.Command{
		&protocol.Connect{Ref: 1, Version: 1, User: "reader"},
		&protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1, Pos: r.pos},
	} {
		message, _ = protocol.JSON.AppendCommand(message, c)
	}
	if err := r.ws.Write(r.ctx, engine.Text, message); err != nil {
		r.t.Fatal(err)
	}
}

// read takes one message. It returns false when the connection has ended.
func (r *reader) read() bool {
	r.t.Helper()
	_, message, err := r.ws.Read(r.ctx)
	if err != nil {
		return false
	}
	for f, err := range protocol.Frames(protocol.JSON, message) {
		switch f := f.(type) {
		case *protocol.Subscribed:
			if r.pos != nil && f.State != protocol.Resumed {
				r.t.Fatalf("%+v", f)
			}
			r.pos = f.Pos
		case *protocol.Message:
			r.take(f)
		case *protocol.Messages:
			for i := range f.Messages {
				r.take(&f.Messages[i])
			}
		case *protocol.Error, *protocol.ResetTo, *protocol.Unsubscribed:
			r.t.Fatalf("%+v", f)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return true
}

func (r *reader) take(m *protocol.Message) {
	r.t.Helper()
	switch r.pos.Follow(m) {
	case protocol.Take:
		r.got = append(r.got, m.ID)
	case protocol.Hole:
		r.t.Fatalf("a hole in front of %+v", m)
	}
}

// X34, X44: the node of a client is killed with lines under way. The client goes on
// with its position on the other node, and has every line once and in order.
func TestNodeIsKilledUnderAClient(t *testing.T) {
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	settings := fmt.Sprintf("{listen: '127.0.0.1:0', nats: %q}", server.URL())
	nodes := [2]*process{startProcess(t, settings), startProcess(t, settings)}
	r := &reader{t: t, ctx: ctx}
	r.connect(nodes[0].addr)
	for r.pos == nil && r.read() {
	}
	var want []string
	for round := range 4 {
		victim, other := round%2, 1-round%2
		talker := &client{t: t, ctx: ctx, encoding: protocol.JSON}
		talker.dial(nodes[other].addr)
		talker.send(&protocol.Connect{Ref: 1, Version: 1, User: "talker"}, &protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1})
		await[*protocol.Subscribed](talker)
		line := func(i int) string { return fmt.Sprintf("%d-%d", round, i) }
		for i := range 20 {
			if i == 7 {
				for len(r.got) < len(want)-3 && r.read() { // some are under way
				}
				nodes[victim].kill()
			}
			talker.publish("lobby", line(i))
			want = append(want, line(i))
		}
		for r.read() {
		}
		r.ws.CloseNow()
		r.connect(nodes[other].addr)
		for len(r.got) < len(want) && r.read() {
		}
		talker.ws.CloseNow()
		nodes[victim] = startProcess(t, settings)
	}
	r.ws.CloseNow()
	<-r.ws.WebSocket().Done()
	if !slices.Equal(r.got, want) {
		t.Errorf("%d lines were read:\n%v\nwant\n%v", len(r.got), r.got, want)
	}
}
