package handshake_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/handshake"
)

// A server reads octets as they come, and answers.
func Example() {
	received := []byte("GET /chat HTTP/1.1\r\n" +
		"Host: example.com\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n" +
		"\r\nfirst frames")

	var scanner handshake.Scanner
	answer, rest := func() (answer, rest []byte) {
		n, err := scanner.Scan(received, handshake.Limits{})
		if err != nil {
			return handshake.AppendRejection(nil, err, handshake.Method(received), time.Now().UTC().Format(http.TimeFormat)), nil
		}
		req, err := handshake.ParseRequest(received[:n])
		if err == nil {
			err = req.CheckUpgrade()
		}
		if err == nil && !handshake.SameHost(req) {
			err = handshake.Reject(403, "this page may not connect here")
		}
		if err == nil {
			subprotocol := handshake.SelectSubprotocol(req, []string{"chat.v2", "chat.v1"})
			answer, err = handshake.AppendResponse(nil, req, subprotocol, "", nil)
		}
		if err != nil {
			return handshake.AppendRejection(nil, err, handshake.Method(received), time.Now().UTC().Format(http.TimeFormat)), nil
		}
		return answer, received[n:]
	}()

	fmt.Println(strings.ReplaceAll(string(answer), "\r\n", "\n") + string(rest))
	// Output:
	// HTTP/1.1 101 Switching Protocols
	// Upgrade: websocket
	// Connection: Upgrade
	// Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
	// Sec-WebSocket-Protocol: chat.v2
	//
	// first frames
}

// A client checks what came back.
func ExampleResponse_Check() {
	request := &handshake.ClientRequest{Host: "example.com", RequestURI: "/chat", Key: handshake.NewKey()}
	if _, err := handshake.AppendClientRequest(nil, request); err != nil {
		fmt.Println(err)
	}

	response, err := handshake.ParseResponse([]byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = response.Check(request)
	fmt.Println(err)
	// Output: handshake: the server answered 503 instead of 101: "Service Unavailable"
}
