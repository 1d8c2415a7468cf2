//go:build unix

package service_test

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

func (p *process) send(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Error(err)
	}
}

// stop is SIGSTOP. It returns when the process stands still, which is a moment later.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.send(t, syscall.SIGSTOP)
	var state syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &state, syscall.WUNTRACED, nil); err != nil || !state.Stopped() {
		t.Error(state, err)
	}
}

// X37: a node that is stopped by SIGSTOP is named by what all nodes have to do, and does it
// when it goes on.
func TestNodeThatIsStoppedCatchesUp(t *testing.T) {
	t.Parallel() // it mostly waits for the node
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	first, ctx := start(t, func(c *config.Config) { c.NATS, c.Name = server.URL(), "n1" })
	second := startProcess(t, fmt.Sprintf("{listen: '127.0.0.1:0', nats: %q, name: n2}", server.URL()))
	whileSilent(t, ctx, first, second.addr, func() { second.stop(t) }, func() { second.send(t, syscall.SIGCONT) })
}

// X37: a node that was stopped for so long that the others counted it as ended drops its
// connections before it delivers anything, or stores what they sent: who was disconnected without
// it gets nothing that was published since then. The others come back.
func TestNodeThatCountedAsEndedDropsItsConnections(t *testing.T) {
	t.Parallel() // it mostly waits for the node
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	first, ctx := start(t, func(c *config.Config) {
		c.NATS, c.Name = server.URL(), "n1"
		c.Namespaces["plain"] = plainOf(c)
	})
	second := startProcess(t, fmt.Sprintf("{listen: '127.0.0.1:0', nats: %q, name: n2, namespaces: {plain: {history-size: 0, history-age: 0s}}}", server.URL()))
	var users []*client
	for _, name := range []string{"disconnected", "other"} {
		c := &client{t: t, ctx: ctx, encoding: protocol.JSON}
		c.dial(second.addr)
		c.send(&protocol.Connect{Ref: 1, Version: 1, User: name})
		await[*protocol.Connected](c)
		for i, topic := range []string{"lobby", "plain:lobby"} {
			c.subscribe(protocol.Subscribe{Topic: topic, Attempt: uint32(i + 1)})
		}
		c.publish("lobby", "live-"+name)
		c.saw("live-" + name) // and so what is relayed, which was subscribed to before
		users = append(users, c)
	}
	users[0].saw("live-other")
	second.stop(t)
	for !slices.Contains(first.Silent(), "n2") {
		if ctx.Err() != nil {
			t.Fatal("n2 is not missed")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := first.Disconnect(ctx, "disconnected"); err != nil {
		t.Fatal(err)
	}
	users[0].send(&protocol.Publish{Ref: 9, Topic: "lobby", ID: "sent", Data: protocol.Data(`1`)})
	for _, topic := range []string{"lobby", "plain:lobby"} {
		for i := range 50 {
			p := &protocol.Publish{Topic: topic, ID: fmt.Sprint("after-", i), Data: protocol.Data(`1`)}
			if _, err := first.Publish(ctx, "cy", "", p); err != nil {
				t.Fatal(err)
			}
		}
	}
	second.send(t, syscall.SIGCONT)
	for _, c := range users {
		c.getsNothing()
	}
	bob := connect(t, ctx, first, protocol.JSON, "bob")
	bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	if ids := idsOf(history(bob, protocol.History{Topic: "lobby", Limit: 100}).Messages); slices.Contains(ids, "sent") {
		t.Error("what was sent by who was disconnected is stored")
	}
	again := &client{t: t, ctx: ctx, encoding: protocol.JSON}
	again.dial(second.addr)
	again.send(&protocol.Connect{Ref: 1, Version: 1, User: "other"})
	await[*protocol.Connected](again)
}

// getsNothing reads until the connection ends.
func (c *client) getsNothing() {
	c.t.Helper()
	for n := 0; ; n++ {
		_, message, err := c.ws.Read(c.ctx)
		if err == nil {
			c.t.Errorf("%.200s", message)
			if n == 3 {
				return // it is not dropped
			}
			continue
		}
		if closed, is := errors.AsType[*engine.CloseError](err); is && closed.Code != engine.StatusAbnormalClosure {
			c.t.Error(err)
		}
		return
	}
}
