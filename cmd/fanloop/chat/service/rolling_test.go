package service_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/engine/pull"
	"github.com/fanloop-go/fanloop/internal/testnet"
)

// mover is a client that goes where the node that ends sends it, with its position.
type mover struct {
	ctx      context.Context
	pos      *protocol.Position
	next     string // where to connect
	got      []string
	attempts int
}

// run reads up to the line "end", on as many nodes as it takes.
func (m *mover) run(user string) error {
	for !slices.Contains(m.got, "end") {
		if m.attempts++; m.attempts > 8 { // 1 and one for each restart
			return fmt.Errorf("%s: too many attempts", user)
		}
		if err := m.visit(user); err != nil {
			return fmt.Errorf("%s: %w", user, err)
		}
	}
	return nil
}

// visit is one connection.
func (m *mover) visit(user string) error {
	ws, err := pull.Dial(m.ctx, "ws"+strings.TrimPrefix(m.next, "http")+"/v1/socket", nil)
	if err != nil {
		return err
	}
	defer func() { ws.CloseNow(); <-ws.WebSocket().Done() }()
	hello, _ := protocol.JSON.AppendCommand(nil, &protocol.Connect{Ref: 1, Version: 1, User: user})
	hello, _ = protocol.JSON.AppendCommand(hello, &protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1, Pos: m.pos})
	if err := ws.Write(m.ctx, engine.Text, hello); err != nil {
		return err
	}
	for !slices.Contains(m.got, "end") {
		_, message, err := ws.Read(m.ctx)
		if err != nil {
			return nil // the node has ended; next is another
		}
		for f, err := range protocol.Frames(protocol.JSON, message) {
			if err == nil {
				err = m.take(f)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *mover) take(f protocol.Frame) error {
	var list []protocol.Message
	switch f := f.(type) {
	case *protocol.Subscribed:
		if m.pos != nil && f.State != protocol.Resumed {
			return fmt.Errorf("%+v", f)
		}
		m.pos = f.Pos
	case *protocol.Closing:
		if f.Delay <= 0 || f.Address == "" || f.Address == m.next || f.Retry != protocol.Later {
			return fmt.Errorf("%+v", f)
		}
		m.next = f.Address
	case *protocol.Message:
		list = append(list, *f)
	case *protocol.Messages:
		list = f.Messages
	case *protocol.Error, *protocol.ResetTo, *protocol.Unsubscribed:
		return fmt.Errorf("%+v", f)
	}
	for i := range list {
		if m.pos.Follow(&list[i]) != protocol.Take {
			return fmt.Errorf("%+v does not follow %+v", list[i], m.pos)
		}
		m.got = append(m.got, list[i].ID)
	}
	return nil
}

// X49: three nodes are restarted one after the other while lines come. Each client gets a
// delay and the address of a node that stays, goes there once for each restart, and has
// every line once and in order.
func TestRollingRestart(t *testing.T) {
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	var ctx context.Context
	var addresses []string
	begin := func(i int) (s *service.Service) {
		s, ctx = start(t, func(c *config.Config) {
			c.NATS, c.Listen, c.Address = server.URL(), addresses[i], "http://"+addresses[i]
		})
		return s
	}
	nodes := make([]*service.Service, 3)
	for i := range nodes {
		addresses = append(addresses, testnet.FreeAddr(t))
		nodes[i] = begin(i)
	}
	known := func() { // all of one another
		for _, s := range nodes {
			for others := 0; others < len(nodes)-1; {
				c := dial(t, ctx, s, protocol.JSON)
				c.send(&protocol.Connect{Ref: 1, Version: 1, User: "asking"})
				others = len(await[*protocol.Connected](c).Addresses)
				c.ws.CloseNow()
			}
		}
	}
	known()
	const readers = 30
	movers := make([]*mover, readers)
	var reading sync.WaitGroup
	for i := range movers {
		m := &mover{ctx: ctx, next: "http://" + addresses[i%3]}
		movers[i] = m
		reading.Go(func() {
			if err := m.run(fmt.Sprint("reader", i)); err != nil {
				t.Error(err)
			}
		})
	}
	for subscribers := 0; subscribers < readers; {
		_, subscribers, _ = nodes[0].Topic(ctx, "lobby")
	}
	var want []string
	say := func(by *service.Service, id string) {
		if _, err := by.Publish(ctx, "talker", "", &protocol.Publish{Topic: "lobby", ID: id, Data: protocol.Data(`1`)}); err != nil {
			t.Error(err)
		}
		want = append(want, id)
	}
	for i := range nodes {
		stays := nodes[(i+1)%3]
		ended := make(chan error, 1)
		go func() { ended <- nodes[i].Shutdown(ctx) }()
		for n := 0; ; n++ {
			say(stays, fmt.Sprint(i, "-", n))
			if len(ended) > 0 && n > 20 {
				break
			}
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		nodes[i] = begin(i)
		known()
	}
	say(nodes[0], "end")
	reading.Wait()
	for i, m := range movers {
		if !slices.Equal(m.got, want) && m.attempts <= 8 {
			t.Errorf("reader %d has %d lines of %d, in %d attempts", i, len(m.got), len(want), m.attempts)
		}
		if m.attempts > 1+len(nodes) {
			t.Errorf("reader %d: %d attempts", i, m.attempts)
		}
	}
}
