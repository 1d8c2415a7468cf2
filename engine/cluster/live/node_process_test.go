package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/internal/testnet"
)

// nodeVariable makes this binary a node of a cluster of three: a nodePlan.
const nodeVariable = "FANLOOP_TEST_NODE"

// nodePlan is what a node is told.
type nodePlan struct {
	Index   int
	Dir     string
	Clients []string // addresses of all NATS servers, for clients
	Routes  []string // and for one another
	Listen  string   // where WebSockets connect
}

// request is what a WebSocket asks of a node: to subscribe, or to publish.
type request struct {
	command
	Publish string // the id; "" : subscribe
}

// acked is the answer to a publish.
type acked struct {
	Acked string
	Error string `json:",omitempty"`
}

// nodeMain is a node until standard input ends, which is with its parent at the
// latest.
func nodeMain(text string) int {
	var plan nodePlan
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if err := serveNode(plan); err != nil {
		fmt.Fprintf(os.Stderr, "node %d: %v\n", plan.Index, err)
		return 1
	}
	return 0
}

func serveNode(plan nodePlan) error {
	options := natsserver.Options{
		Dir: plan.Dir, Name: fmt.Sprint("node", plan.Index), Addr: plan.Clients[plan.Index],
		Cluster: &natsserver.Cluster{Name: "three", Addr: plan.Routes[plan.Index]},
	}
	for _, route := range plan.Routes {
		options.Cluster.Routes = append(options.Cluster.Routes, "nats://"+route)
	}
	if _, err := natsserver.Start(options); err != nil {
		return err
	}
	broker := connectNode(plan)
	node := cluster.NewNode(broker, cluster.Config{Timeout: 2 * time.Second})
	server := &engine.Server{Loops: 1}
	topics := live.New(node, server, live.Config{Encoder: encoder{}})
	server.Callbacks = topics.Callbacks(engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
		var r request
		if err := json.Unmarshal(text, &r); err != nil {
			ws.CloseNow()
			return
		}
		if r.Publish == "" {
			_ = topics.Subscribe(ws, r.Topic, r.From) // an error: the client sees no answer
			return
		}
		ws.Go(func() { publishFor(ws, node, r) })
	}})
	server.Addr = plan.Listen
	return server.ListenAndServe()
}

// publishFor publishes what a client asks for, and answers.
func publishFor(ws *engine.WebSocket, node *cluster.Node, r request) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	answer := acked{Acked: r.Publish}
	if _, err := node.Publish(ctx, r.Topic, r.Publish, []byte(r.Publish)); err != nil {
		answer.Error = err.Error()
	}
	text, _ := json.Marshal(answer)
	_ = ws.Send(engine.Text, text) // closed: the client asks elsewhere
}

// connectNode connects as soon as the servers can make streams.
func connectNode(plan nodePlan) *natsbroker.Broker {
	urls := "nats://" + plan.Clients[plan.Index]
	for _, addr := range plan.Clients {
		urls += ",nats://" + addr
	}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		broker, err := natsbroker.Connect(ctx, natsbroker.Config{
			URL: urls, Shards: 1, Replicas: 3, PerTopic: 1_000_000, ProbeEvery: time.Second, Options: []nats.Option{nats.DontRandomize()},
		})
		cancel()
		if err == nil {
			return broker
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// nodeProcess is a node in a process of its own.
type nodeProcess struct {
	t     *testing.T
	plan  nodePlan
	cmd   *exec.Cmd
	stdin io.Closer
}

// startNodes starts three nodes, which end with the test.
func startNodes(t *testing.T) (nodes []*nodeProcess) {
	t.Helper()
	addrs := make([]string, 9)
	for i := range addrs {
		addrs[i] = testnet.FreeAddr(t)
	}
	for i := range 3 {
		n := &nodeProcess{t: t, plan: nodePlan{Index: i, Dir: t.TempDir(), Clients: addrs[:3], Routes: addrs[3:6], Listen: addrs[6+i]}}
		n.start()
		t.Cleanup(n.kill)
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		n.ready()
	}
	return nodes
}

func (n *nodeProcess) start() {
	n.t.Helper()
	plan, err := json.Marshal(n.plan)
	if err != nil {
		n.t.Fatal(err)
	}
	n.cmd = exec.Command(os.Args[0])
	n.cmd.Env = append(slices.Clone(os.Environ()), nodeVariable+"="+string(plan))
	n.cmd.Stderr = os.Stderr
	if n.stdin, err = n.cmd.StdinPipe(); err != nil {
		n.t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
}

// ready waits until WebSockets can connect.
func (n *nodeProcess) ready() {
	n.t.Helper()
	until(n.t, "a node is ready", func() bool {
		nc, err := net.Dial("tcp", n.plan.Listen)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			return false
		}
		_ = nc.Close()
		return true
	})
}

// kill ends the process by SIGKILL.
func (n *nodeProcess) kill() {
	_ = n.cmd.Process.Signal(syscall.SIGKILL)
	_ = n.stdin.Close()
	_ = n.cmd.Wait()
}
