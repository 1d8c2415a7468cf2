package service_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(nodeVariable); settings != "" {
		beNode(settings)
		return
	}
	goleak.VerifyTestMain(m)
}

// start runs a node that ends with the test. It bounds what hangs by the context.
func start(t *testing.T, change func(*config.Config)) (*service.Service, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	c := config.Default()
	c.Listen, c.DataDir = "127.0.0.1:0", t.TempDir()
	if change != nil {
		change(&c)
	}
	s, err := service.Start(ctx, c, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, ctx
}

// client is a connection that keeps the frames of a message which were not looked at.
type client struct {
	t        *testing.T
	ctx      context.Context
	ws       *pull.Conn
	encoding protocol.Encoding
	frames   []protocol.Frame
	last     string // id of the last message
	more     bool   // messages are to follow, as the last frame that says so has it
}

func dial(t *testing.T, ctx context.Context, s *service.Service, e protocol.Encoding) *client {
	t.Helper()
	c := &client{t: t, ctx: ctx, encoding: e}
	c.dial(s.Addr())
	return c
}

// dial opens the connection to an address.
func (c *client) dial(addr string) {
	c.t.Helper()
	ws, err := pull.Dial(c.ctx, "ws://"+addr+"/v1/socket", &engine.DialOptions{Subprotocols: []string{c.encoding.Subprotocol()}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { ws.CloseNow(); <-ws.WebSocket().Done() })
	c.ws = ws
}

// connect is dial, and the first command.
func connect(t *testing.T, ctx context.Context, s *service.Service, e protocol.Encoding, user string) *client {
	t.Helper()
	c := dial(t, ctx, s, e)
	c.send(&protocol.Connect{Ref: 1, Version: protocol.Version, User: user})
	if got := await[*protocol.Connected](c); got.User != user {
		t.Fatalf("%+v", got)
	}
	return c
}

// send sends commands in one message.
func (c *client) send(commands ...protocol.Command) {
	c.t.Helper()
	var message []byte
	for _, command := range commands {
		var err error
		if message, err = c.encoding.AppendCommand(message, command); err != nil {
			c.t.Fatal(err)
		}
	}
	op := engine.Text
	if c.encoding == protocol.CBOR {
		op = engine.Binary
	}
	if err := c.ws.Write(c.ctx, op, message); err != nil {
		c.t.Fatal(err)
	}
}

// next is the next frame, without a list of no messages.
func (c *client) next() protocol.Frame {
	c.t.Helper()
	for {
		for len(c.frames) == 0 {
			_, message, err := c.ws.Read(c.ctx)
			if err != nil {
				c.t.Fatal(err)
			}
			for f, err := range protocol.Frames(c.encoding, message) {
				if err != nil {
					c.t.Fatalf("%v: %q", err, message)
				}
				c.frames = append(c.frames, f)
			}
		}
		f := c.frames[0]
		c.frames = c.frames[1:]
		switch f := f.(type) {
		case *protocol.Message:
			c.last = f.ID
		case *protocol.Subscribed:
			c.more = f.More
		case *protocol.Messages:
			if len(f.Messages) == 0 && !c.more {
				c.t.Errorf("an empty list where no more was to follow: %+v", f)
			}
			if c.more = f.More; len(f.Messages) == 0 {
				continue
			}
			c.last = f.Messages[len(f.Messages)-1].ID
		}
		return f
	}
}

// await is the next frame of a type. Frames of others are passed over, but no errors.
func await[F protocol.Frame](c *client) F {
	c.t.Helper()
	for {
		f := c.next()
		if wanted, is := f.(F); is {
			return wanted
		}
		if e, is := f.(*protocol.Error); is {
			c.t.Fatalf("%+v", e)
		}
	}
}

// subscribe subscribes, and returns the answer.
func (c *client) subscribe(s protocol.Subscribe) *protocol.Subscribed {
	c.t.Helper()
	if s.Ref == 0 {
		s.Ref = protocol.Ref(1000 + s.Attempt)
	}
	c.send(&s)
	return await[*protocol.Subscribed](c)
}

// publish publishes texts, each with an id, and waits until they are stored.
func (c *client) publish(topic string, ids ...string) {
	c.t.Helper()
	for i, id := range ids {
		c.send(&protocol.Publish{Ref: protocol.Ref(2000 + i), Topic: topic, ID: id, Data: protocol.Data(fmt.Sprintf("%q", id))})
	}
	for range ids {
		await[*protocol.Published](c)
	}
}

// saw returns when the message of an id has been delivered: from then on it is in the
// history that the node knows.
func (c *client) saw(id string) {
	c.t.Helper()
	for c.last != id {
		c.next()
	}
}

// single takes the messages of a list apart: a subscriber that is not live yet gets what
// is published in such a list.
func single(f protocol.Frame) []protocol.Frame {
	list, is := f.(*protocol.Messages)
	if !is {
		return []protocol.Frame{f}
	}
	var all []protocol.Frame
	for i := range list.Messages {
		m := &list.Messages[i]
		m.Topic = list.Topic
		all = append(all, m)
	}
	return all
}

// message is the next message, live or not.
func (c *client) message() *protocol.Message {
	c.t.Helper()
	for {
		c.frames = append(single(c.next()), c.frames...)
		if m, is := c.frames[0].(*protocol.Message); is {
			c.frames = c.frames[1:]
			return m
		}
		if e, is := c.frames[0].(*protocol.Error); is {
			c.t.Fatalf("%+v", e)
		}
		c.frames = c.frames[1:]
	}
}

// messages are the next n, live or not, by the rule of positions.
func (c *client) messages(pos *protocol.Position, n int) (ids []string) {
	c.t.Helper()
	take := func(m *protocol.Message) {
		if pos.Follow(m) != protocol.Take {
			c.t.Fatalf("%+v does not follow %+v", m, pos)
		}
		ids = append(ids, m.ID)
	}
	for len(ids) < n {
		switch f := c.next().(type) {
		case *protocol.Message:
			take(f)
		case *protocol.Messages:
			for i := range f.Messages {
				take(&f.Messages[i])
			}
		case *protocol.Error, *protocol.ResetTo, *protocol.Unsubscribed:
			c.t.Fatalf("%+v", f)
		}
	}
	return ids
}
