package service_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/internal/testnet"
)

// cluster is three nodes of this process, whose stores keep the messages together.
type cluster struct {
	t        *testing.T
	ctx      context.Context
	settings [3]config.Config
	nodes    [3]*service.Service // nil: it does not run
	log      *slog.Logger
}

func startThree(t *testing.T, ctx context.Context, log *slog.Logger) *cluster {
	t.Helper()
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte("a secret of all nodes"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := &cluster{t: t, ctx: ctx, log: log}
	routes := []string{testnet.FreeAddr(t), testnet.FreeAddr(t), testnet.FreeAddr(t)}
	for i, addr := range routes {
		c := config.Default()
		c.Listen, c.DataDir, c.Name, c.NATSSecretFile = "127.0.0.1:0", t.TempDir(), fmt.Sprint("n", i), secret
		c.Cluster, c.Routes = addr, routes
		c.Limits.User, c.Limits.Address = config.Per{}, config.Per{} // who is told to try later does so at once
		all.settings[i] = c
	}
	t.Cleanup(func() { all.stop(0, 1, 2) })
	all.start(0, 1, 2)
	return all
}

// start returns when the nodes serve.
func (n *cluster) start(which ...int) {
	n.t.Helper()
	started := make(chan struct{})
	for _, i := range which {
		go func() {
			var err error
			if n.nodes[i], err = service.Start(n.ctx, n.settings[i], n.log); err != nil {
				n.t.Error(err)
			}
			started <- struct{}{}
		}()
	}
	for range which {
		<-started
	}
	if n.t.Failed() {
		n.t.FailNow()
	}
}

func (n *cluster) stop(which ...int) {
	for _, i := range which {
		if n.nodes[i] == nil {
			continue
		}
		if err := n.nodes[i].Shutdown(context.Background()); err != nil {
			n.t.Error(err)
		}
		n.nodes[i] = nil
	}
}

// until waits for a condition of a node.
func (n *cluster) until(what string, is func() bool) {
	n.t.Helper()
	for !is() {
		if n.ctx.Err() != nil {
			n.t.Fatal("waited in vain: ", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Three nodes with stores of their own are one chat, which goes on when one of them ends
// (X44). With one left there is no quorum: the node is not ready, says so once, and who
// publishes is told to try later, until another node is back.
func TestThreeNodesKeepTheMessagesTogether(t *testing.T) {
	t.Parallel() // it mostly waits for leaders
	if testing.Short() {
		t.Skip("three servers")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	lines := new(alarms)
	all := startThree(t, ctx, slog.New(slog.NewTextHandler(lines, nil)))
	last := all.nodes[1]
	ann, bob := connect(t, ctx, all.nodes[0], protocol.JSON, "ann"), connect(t, ctx, last, protocol.JSON, "bob")
	ann.enter("lobby")
	cy := connect(t, ctx, last, protocol.JSON, "cy")
	cy.enter("lobby")
	pos := bob.enter("lobby").Pos
	ann.say("1")
	if got := bob.messages(pos, 1); got[0] != "1" {
		t.Error(got)
	}

	all.stop(2)
	ann.say("2") // the stream may need another leader first
	if got := bob.messages(pos, 1); got[0] != "2" {
		t.Error(got)
	}
	all.until("one server is missed", func() bool { return last.Stats().Servers.Reached == 2 })
	if st := last.Stats(); st.Servers.All != 3 || !st.Quorum || last.Ready() != nil {
		t.Errorf("%+v %v", st.Servers, last.Ready())
	}

	all.stop(0)
	all.until("the quorum is missed", func() bool { return errors.Is(last.Ready(), service.ErrNoQuorum) })
	if st := last.Stats(); st.Servers.Reached != 1 || st.Quorum {
		t.Errorf("%+v %v", st.Servers, st.Quorum)
	}
	cy.send(&protocol.Publish{Ref: 9, Topic: "lobby", ID: "3", Data: protocol.Data(`3`)})
	for {
		f := cy.next()
		if e, is := f.(*protocol.Error); is {
			if e.Code != protocol.Unavailable || e.Retry != protocol.Later || e.Delay <= 0 {
				t.Errorf("%+v", e)
			}
			break
		}
		if _, is := f.(*protocol.Published); is {
			t.Fatalf("%+v", f)
		}
	}

	all.start(0)
	all.until("the quorum is there", func() bool { return last.Ready() == nil })
	cy.say("3")
	if got := bob.messages(pos, 1); got[0] != "3" {
		t.Error(got)
	}
	all.until("the end of the loss is logged", func() bool { return lines.count("there is a quorum again") == 1 })
	if n := lines.count("no quorum: messages are not stored"); n != 1 {
		t.Errorf("%d lines", n)
	}
}

// enter subscribes, again where the node says so: a stream may be between two leaders.
func (c *client) enter(topic string) *protocol.Subscribed {
	c.t.Helper()
	for attempt := uint32(1); ; attempt++ {
		c.send(&protocol.Subscribe{Ref: protocol.Ref(attempt), Topic: topic, Attempt: attempt})
		if answer, done := answered[*protocol.Subscribed](c); done {
			return answer
		}
	}
}

// outcome waits for the answer to a publish, and reports whether it is stored; false: it
// is to be tried again.
func (c *client) outcome() bool {
	c.t.Helper()
	_, stored := answered[*protocol.Published](c)
	return stored
}

// answered is the next frame of a type; false: the command is to be tried again, and now is
// late enough.
func answered[F protocol.Frame](c *client) (answer F, done bool) {
	c.t.Helper()
	for {
		f := c.next()
		if wanted, is := f.(F); is {
			return wanted, true
		}
		if e, is := f.(*protocol.Error); is {
			if e.Retry != protocol.Later {
				c.t.Fatalf("%+v", e)
			}
			time.Sleep(time.Duration(e.Delay) * time.Millisecond) // who goes on regardless is closed
			return answer, false
		}
	}
}
