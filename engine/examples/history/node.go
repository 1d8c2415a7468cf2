package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
)

// storeWithin is how long a publish may take.
const storeWithin = 5 * time.Second

// node is a server whose rooms are those of all nodes.
type node struct {
	broker *natsbroker.Broker
	topics *live.Topics
	rooms  *cluster.Node
	server *engine.Server
}

// open connects to the store. Close the server before the node.
func open(ctx context.Context, url string) (*node, error) {
	broker, err := natsbroker.Connect(ctx, natsbroker.Config{URL: url})
	if err != nil {
		return nil, err
	}
	n := &node{broker: broker, rooms: cluster.NewNode(broker, cluster.Config{}), server: &engine.Server{}}
	n.topics = live.New(n.rooms, n.server, live.Config{Encoder: encoder{}})
	n.server.Callbacks = n.topics.Callbacks(engine.Callbacks{OnText: n.received})
	return n, nil
}

func (n *node) close() {
	n.topics.Close()
	n.rooms.Close()
	n.broker.Close()
}

// command is what a client sends.
type command struct {
	Room string           `json:"room"`
	From cluster.Position `json:"from"`
	Say  string           `json:"say"`
}

// received carries a command out. The store is asked beside the loop.
func (n *node) received(ws *engine.WebSocket, text []byte) {
	var c command
	if json.Unmarshal(text, &c) != nil || cluster.CheckTopic(c.Room) != nil {
		_ = ws.Close(engine.StatusPolicyViolation, "not understood")
		return
	}
	if c.Say == "" {
		_ = n.topics.Subscribe(ws, c.Room, c.From) // the connection has ended otherwise
		return
	}
	ws.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
		defer cancel()
		if _, err := n.rooms.Publish(ctx, c.Room, "", []byte(c.Say)); err != nil {
			_ = ws.Send(engine.Text, []byte(`{"error":"not stored; try again"}`))
		}
	})
}

// line is a message as clients get it, with the position behind it.
type line struct {
	Text string           `json:"text"`
	Pos  cluster.Position `json:"pos"`
}

// page is what a client missed. Reset: there may be more that nobody gets.
type page struct {
	Room  string           `json:"room"`
	Reset bool             `json:"reset,omitempty"`
	Lines []line           `json:"lines"`
	Pos   cluster.Position `json:"pos"`
}

// encoder makes messages of what is stored, once for all clients of a node.
type encoder struct{}

// Message implements live.Encoder.
func (encoder) Message(m *cluster.Message) engine.Message {
	return jsonOf(page{Room: m.Topic, Lines: linesOf([]cluster.Message{*m}), Pos: m.Position()})
}

// Page implements live.Encoder.
func (encoder) Page(p *live.Page) engine.Message {
	return jsonOf(page{Room: p.Topic, Reset: p.Reset, Lines: linesOf(p.Messages), Pos: p.Position})
}

func linesOf(messages []cluster.Message) []line {
	lines := make([]line, len(messages))
	for i := range messages {
		lines[i] = line{string(messages[i].Data), messages[i].Position()}
	}
	return lines
}

func jsonOf(p page) engine.Message {
	text, _ := json.Marshal(p) // of plain fields
	return engine.TextMessage(string(text))
}
