package protocol_test

import (
	"errors"
	"fmt"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// A server reads what came, and answers.
func ExampleCommands() {
	came := []byte(`{"type":"ping","ref":1}
{"type":"subscribe","ref":2,"topic":"room:lobby","attempt":1}
{"type":"publish","ref":3,"topic":"room:lobby","id":"8f3z"}`)
	var answer []byte
	for command, err := range protocol.Commands(protocol.JSON, protocol.DefaultLimits(), came) {
		var fault *protocol.Error
		if errors.As(err, &fault) {
			answer, _ = protocol.JSON.Append(answer, fault)
			continue
		}
		switch c := command.(type) {
		case *protocol.Ping:
			answer, _ = protocol.JSON.Append(answer, &protocol.Pong{Ref: c.Ref, Time: 1764329600200})
		case *protocol.Subscribe:
			answer, _ = protocol.JSON.Append(answer, protocol.Fail(c, protocol.Forbidden, "members only"))
		}
	}
	fmt.Printf("%s\n", answer)
	// Output:
	// {"type":"pong","ref":1,"time":1764329600200}
	// {"type":"error","ref":2,"topic":"room:lobby","attempt":1,"code":"forbidden","retry":"never","message":"members only"}
	// {"type":"error","ref":3,"topic":"room:lobby","id":"8f3z","code":"bad_field","retry":"never","message":"data is missing"}
}

// A client sends commands in one message, and reads what came.
func ExampleFrames() {
	var message []byte
	message, _ = protocol.JSON.AppendCommand(message, &protocol.Connect{Ref: 1, Version: protocol.Version})
	message, _ = protocol.JSON.AppendCommand(message, &protocol.Subscribe{Ref: 2, Topic: "room:lobby", Attempt: 1})
	fmt.Printf("%s\n", message)

	came := []byte(`{"type":"message","topic":"room:lobby","offset":"81231","id":"d0aa17","time":1764329601050,"user":"bob","data":"hi"}`)
	for frame, err := range protocol.Frames(protocol.JSON, came) {
		if m, is := frame.(*protocol.Message); is && err == nil {
			fmt.Println(m.Offset, m.User, string(m.Data))
		}
	}
	// Output:
	// {"type":"connect","ref":1,"version":1}
	// {"type":"subscribe","ref":2,"topic":"room:lobby","attempt":1}
	// 81231 bob "hi"
}

func ExampleCode() {
	err := error(protocol.Fail(nil, protocol.RateLimited, "20 commands a second"))
	fmt.Println(errors.Is(err, protocol.RateLimited), protocol.RateLimited.Retry(), protocol.RateLimited.Close())
	// Output: true later 4029
}
