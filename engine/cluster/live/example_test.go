package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
)

// lines is an Encoder: what the clients of this program understand.
type lines struct{}

func (lines) Message(m *cluster.Message) engine.Message {
	return engine.TextMessage("new: " + string(m.Data))
}

func (lines) Page(p *live.Page) engine.Message {
	text := "page:"
	if p.Reset {
		text = "load the room anew:"
	}
	for _, m := range p.Messages {
		text += " " + string(m.Data)
	}
	return engine.TextMessage(text) // p.Position goes along, for the client to come back with
}

// A client says which room it reads, and where it was. It gets what it missed and
// then what is new.
func Example() {
	store := clustertest.NewStore(clustertest.Options{}) // in production: package natsbroker
	node := cluster.NewNode(store.Connect(), cluster.Config{})
	defer node.Close()
	srv := &engine.Server{}
	topics := live.New(node, srv, live.Config{Encoder: lines{}})
	defer topics.Close()
	srv.Callbacks = topics.Callbacks(engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) {
			var asked struct {
				Room string
				From cluster.Position
			}
			if json.Unmarshal(text, &asked) != nil || topics.Subscribe(ws, asked.Room, asked.From) != nil {
				ws.Close(engine.StatusPolicyViolation, "not understood")
			}
		},
	})
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	ctx := context.Background()
	say := func(text string) cluster.Position {
		ack, err := node.Publish(ctx, "lobby", "", []byte(text))
		if err != nil {
			fmt.Println(err)
		}
		return ack.Position
	}
	had := say("hello") // the last that the client had
	say("are")
	say("you")
	say("there?")

	got := make(chan string, 10)
	client, err := engine.Dial(ctx, "ws://"+ln.Addr().String(), &engine.DialOptions{Callbacks: engine.Callbacks{
		OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) },
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseNow()
	asked, _ := json.Marshal(map[string]any{"Room": "lobby", "From": had})
	if err := client.Send(engine.Text, asked); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-got)
	for topics.Stats().Live == 0 { // so that the next message is a live one
		time.Sleep(time.Millisecond)
	}
	say("yes")
	fmt.Println(<-got)
	// Output:
	// page: are you there?
	// new: yes
}
