package chattest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// Line is a message as the stream has it.
type Line struct {
	Offset string
	Number uint64 // the offset
	ID     string
	User   string
	Kind   string
	Data   string // as JSON
}

var ids atomic.Uint64 // of what is said

// Say publishes messages as a user, in order, and returns their ids when all are
// stored. Each is {"text": ...}.
func (n *Node) Say(user, topic string, texts ...string) []string {
	n.t.Helper()
	bodies := make([]protocol.Body, len(texts))
	for i, text := range texts {
		data, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			n.t.Fatal(err)
		}
		bodies[i].Data = protocol.Data(data)
	}
	return n.Publish(user, topic, bodies...)
}

// Speak returns a function that publishes a text at once, as a user.
func (n *Node) Speak(t testing.TB, user, topic string) func(text string) {
	t.Helper()
	s := n.speak(user)
	t.Cleanup(func() { s.ws.CloseNow() })
	return func(text string) {
		data, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		s.queue(&protocol.Publish{Ref: s.next(), Topic: topic, ID: fmt.Sprintf("said-%d", ids.Add(1)), Data: protocol.Data(data)})
		s.flush()
		await[*protocol.Published](s)
	}
}

// Type returns a function that says that a user types, who is in a topic from now on.
func (n *Node) Type(t testing.TB, user, topic string) func() {
	t.Helper()
	s := n.speak(user)
	t.Cleanup(func() { s.ws.CloseNow() })
	s.queue(&protocol.Subscribe{Ref: s.next(), Topic: topic, Attempt: 1, Mode: protocol.Passive})
	s.flush()
	await[*protocol.Subscribed](s)
	return func() {
		s.queue(&protocol.Set{Ref: s.next(), Topic: topic, Kind: protocol.KindTyping, Data: protocol.Data(`true`)})
		s.flush()
		await[*protocol.OK](s)
	}
}

// Count returns texts with numbers: "line 0", "line 1", ...
func Count(text string, n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%s %d", text, i)
	}
	return texts
}

// Publish publishes messages and events as a user, in order, and returns their ids when
// all are stored. A body's user is ignored.
func (n *Node) Publish(user, topic string, bodies ...protocol.Body) (all []string) {
	n.t.Helper()
	s := n.speak(user)
	defer s.ws.CloseNow()
	for len(bodies) > 0 {
		some := bodies[:min(len(bodies), 32)]
		bodies = bodies[len(some):]
		for _, b := range some {
			id := fmt.Sprintf("said-%d", ids.Add(1))
			s.queue(&protocol.Publish{Ref: s.next(), Topic: topic, ID: id, Kind: b.Kind, Target: b.Target, Data: b.Data})
			all = append(all, id)
		}
		s.flush()
		for range some {
			await[*protocol.Published](s)
		}
	}
	return all
}

// Stream returns all that a topic has, in order.
func (n *Node) Stream(topic string) (lines []Line) {
	n.t.Helper()
	s := n.speak("oracle")
	defer s.ws.CloseNow()
	var before *protocol.Position
	for {
		s.queue(&protocol.History{Ref: s.next(), Topic: topic, Before: before, Limit: protocol.DefaultLimits().Page})
		s.flush()
		page := await[*protocol.Page](s)
		some := make([]Line, len(page.Messages))
		for i, m := range page.Messages {
			some[i] = Line{Offset: fmt.Sprint(m.Offset), Number: m.Offset, ID: m.ID, User: m.User, Kind: m.Kind, Data: string(m.Data)}
		}
		lines = append(some, lines...)
		if page.Begin || page.Back == nil {
			return lines
		}
		before = page.Back
	}
}

// speaker is a connection that speaks the protocol.
type speaker struct {
	t      testing.TB
	ctx    context.Context
	ws     *pull.Conn
	ref    protocol.Ref
	out    []byte
	frames []protocol.Frame
}

func (n *Node) speak(user string) *speaker {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	n.t.Cleanup(cancel)
	ws, err := pull.Dial(ctx, "ws://"+n.addr+"/v1/socket", &engine.DialOptions{Subprotocols: []string{protocol.JSON.Subprotocol()}})
	if err != nil {
		n.t.Fatal(err)
	}
	s := &speaker{t: n.t, ctx: ctx, ws: ws}
	s.queue(&protocol.Connect{Ref: s.next(), Version: protocol.Version, User: user})
	s.flush()
	await[*protocol.Connected](s)
	return s
}

func (s *speaker) next() protocol.Ref {
	s.ref++
	return s.ref
}

func (s *speaker) queue(c protocol.Command) {
	s.t.Helper()
	out, err := protocol.JSON.AppendCommand(s.out, c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.out = out
}

func (s *speaker) flush() {
	s.t.Helper()
	if err := s.ws.Write(s.ctx, engine.Text, s.out); err != nil {
		s.t.Fatal(err)
	}
	s.out = s.out[:0]
}

// await returns the next frame of a type, and passes over others but errors.
func await[F protocol.Frame](s *speaker) F {
	s.t.Helper()
	for {
		for len(s.frames) > 0 {
			frame := s.frames[0]
			s.frames = s.frames[1:]
			if wanted, is := frame.(F); is {
				return wanted
			}
			if e, is := frame.(*protocol.Error); is {
				s.t.Fatalf("%+v", e)
			}
		}
		_, message, err := s.ws.Read(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		for frame, err := range protocol.Frames(protocol.JSON, message) {
			if err != nil {
				s.t.Fatalf("%v: %q", err, message)
			}
			s.frames = append(s.frames, frame)
		}
	}
}
