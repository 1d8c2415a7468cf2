package service_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/nodes"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// cable is an address of a NATS server that can be cut.
type cable struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu    sync.Mutex
	isCut bool                  // guarded by mu
	conns map[net.Conn]struct{} // guarded by mu
}

// layCable returns a cable to the server at a URL, which is cut at the end of the test.
func layCable(t *testing.T, url string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: listener, target: strings.TrimPrefix(url, "nats://"), conns: make(map[net.Conn]struct{})}
	c.work.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			c.work.Go(func() { c.carry(near) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		c.cut(true)
		c.work.Wait()
	})
	return c
}

func (c *cable) url() string { return "nats://" + c.listener.Addr().String() }

// cut ends all connections and lets none through, or lets them through again.
func (c *cable) cut(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut = on; on {
		for conn := range c.conns {
			_ = conn.Close()
		}
	}
}

// hold keeps connections for cut, and reports whether they may be used.
func (c *cable) hold(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.conns[conn] = struct{}{}
	}
	return !c.isCut
}

func (c *cable) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer far.Close()
	if !c.hold(near, far) {
		return
	}
	var both sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			_ = near.Close()
			_ = far.Close()
		})
	}
	both.Wait()
}

// X37: a node that is cut off from the others is named by what all nodes have to do. Who
// comes to it meanwhile is let in by what it knows; when it is back it does all of it.
func TestNodeThatIsCutOffCatchesUp(t *testing.T) {
	t.Parallel() // it mostly waits for the node
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	line := layCable(t, server.URL())
	first, ctx := start(t, func(c *config.Config) { c.NATS, c.Name = server.URL(), "n1" })
	second, _ := start(t, func(c *config.Config) { c.NATS, c.Name = line.url(), "n2" })
	whileSilent(t, ctx, first, second.Addr(), func() {
		line.cut(true)
		late := dial(t, ctx, second, protocol.JSON)
		late.send(&protocol.Connect{Ref: 1, Version: 1, User: "late"})
		await[*protocol.Connected](late)
		late.ws.CloseNow()
	}, func() { line.cut(false) })
}

// whileSilent has the node n1 revoke a user, disconnect another one and end the subscriptions
// of a third while the node at addr, which is n2, is silent, and again when it is back.
func whileSilent(t *testing.T, ctx context.Context, n1 *service.Service, addr string, silence, wake func()) {
	t.Helper()
	var users []*client
	for _, name := range []string{"revoked", "disconnected", "unsubscribed", "nobody"} {
		c := &client{t: t, ctx: ctx, encoding: protocol.JSON}
		c.dial(addr)
		c.send(&protocol.Connect{Ref: 1, Version: 1, User: name})
		await[*protocol.Connected](c)
		c.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
		users = append(users, c)
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for !is() {
			if ctx.Err() != nil {
				t.Fatal(what, ctx.Err())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	until("n1 does not know n2", func() bool {
		all, err := n1.User(ctx, "nobody")
		return err == nil && len(all) == 1 && n1.Stats().Revoked.Nodes == 1
	})
	silence()
	orders := map[string]func() error{
		"revoke":      func() error { return n1.Revoke(ctx, revoke.Revocation{Kind: revoke.User, Name: "revoked"}) },
		"disconnect":  func() error { _, err := n1.Disconnect(ctx, "disconnected"); return err },
		"unsubscribe": func() error { _, err := n1.Unsubscribe(ctx, "unsubscribed", "lobby"); return err },
		"look up":     func() error { _, err := n1.User(ctx, "nobody"); return err },
	}
	var calls sync.WaitGroup
	for name, order := range orders {
		calls.Go(func() {
			err := order()
			silent, is := errors.AsType[*nodes.UnconfirmedError](err)
			if !is || !slices.Equal(silent.Nodes, []string{"n2"}) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	calls.Wait()
	wake()
	users[0].closes(protocol.Revoked)
	users[1].closes(protocol.Forbidden)
	if got := await[*protocol.Unsubscribed](users[2]); got.Code != protocol.Forbidden || got.Topic != "lobby" {
		t.Errorf("%+v", got)
	}
	for name, order := range orders {
		until(name, func() bool { return order() == nil })
	}
	users[2].send(&protocol.Publish{Ref: 9, Topic: "lobby", ID: "1", Data: protocol.Data(`1`)})
	if got := users[2].failure(); got.Code != protocol.NotSubscribed {
		t.Errorf("%+v", got)
	}
	users[3].say("2")
}
