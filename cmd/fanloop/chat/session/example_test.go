package session_test

import (
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
)

// door is a backend that knows everybody. A service has the other methods too.
type door struct{ session.Backend }

func (door) Connect(c *protocol.Connect, done func(session.Identity, session.Entry, error)) {
	done(session.Identity{User: c.User}, session.Entry{Session: "s.1", State: protocol.Fresh}, nil)
}

func (door) Arrived(protocol.Command) error { return nil }
func (door) Waited(protocol.Command) error  { return nil }

// printed is a connection.
type printed struct{}

func (printed) Send(f protocol.Frame) error {
	if c, is := f.(*protocol.Connected); is {
		fmt.Println(c.User, "is connected")
		return nil
	}
	text, err := protocol.JSON.Append(nil, f)
	fmt.Println(string(text))
	return err
}

func (printed) Close(status protocol.CloseCode, last *protocol.Closing) {
	fmt.Println("closed", status)
}

func ExampleSession() {
	all, _ := rules.New(map[string]rules.Namespace{"": rules.Default()})
	config := &session.Config{
		Rules: func() *rules.Rules { return all }, Now: time.Now,
		Limits: protocol.DefaultLimits(), ConnectWithin: 10 * time.Second, Development: true,
	}
	s := session.New(config, door{}, printed{})
	s.Receive(protocol.JSON, []byte(`{"type":"connect","ref":1,"version":1,"user":"ann"}
{"type":"publish","ref":2,"topic":"lobby","id":"p1","data":"hi"}`))
	s.Receive(protocol.JSON, []byte(`{"type":"connect","ref":3,"version":1,"user":"bob"}`))
	s.Receive(protocol.JSON, []byte(`hello`))
	// Output:
	// ann is connected
	// {"type":"error","ref":2,"topic":"lobby","id":"p1","code":"not_subscribed","retry":"never"}
	// {"type":"error","ref":3,"code":"already_connected","retry":"never"}
	// {"type":"error","code":"bad_frame","retry":"never","message":"not JSON at byte 0 of the frame"}
	// closed 4400
}
