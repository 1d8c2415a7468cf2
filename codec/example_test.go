package codec_test

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fanloop-go/fanloop/codec"
)

// A server reads what a client wrote. The second read ends inside of a frame.
func Example() {
	cfg := &codec.ReaderConfig{Role: codec.Server} // shared by all connections
	var r codec.Reader
	r.Init(cfg)

	stream := codec.AppendMaskedFrame(nil, codec.Text, true, []byte("hello"))
	stream = codec.AppendMaskedFrame(stream, codec.Ping, true, []byte("there?"))
	stream = codec.AppendMaskedFrame(stream, codec.Text, true, []byte("good bye"))
	last := codec.AppendClosePayload(nil, codec.StatusGoingAway, "lunch")
	stream = codec.AppendMaskedFrame(stream, codec.Close, true, last)

	for _, b := range [][]byte{stream[:11], stream[11:30], stream[30:]} {
		for {
			ev, ok, n, err := r.Next(b)
			if err != nil {
				var fault *codec.ProtocolError
				errors.As(err, &fault)
				fmt.Println("fail the connection:", fault.Code, fault.Reason)
				return
			}
			if !ok {
				break
			}
			b = b[n:]
			switch ev.OpCode {
			case codec.Close:
				code, reason, _ := codec.ParseClosePayload(ev.Payload)
				fmt.Printf("close: %v, %q\n", code, reason)
			default:
				fmt.Printf("%v: %s\n", ev.OpCode, ev.Payload)
			}
		}
	}
	// Output:
	// text: hello
	// ping: there?
	// text: good bye
	// close: 1001 going away, "lunch"
}

func ExampleReader_SetStreaming() {
	var r codec.Reader
	r.Init(new(codec.ReaderConfig))
	r.SetStreaming(true)

	frame := codec.AppendMaskedFrame(nil, codec.Binary, true, []byte("a long upload"))
	for _, b := range [][]byte{frame[:12], frame[12:]} {
		ev, _, _, _ := r.Next(b)
		fmt.Printf("%q last=%v\n", ev.Payload, ev.Fin)
	}
	// Output:
	// "a long" last=false
	// " upload" last=true
}

// Two messages, compressed with context takeover: the second one refers back to
// the first. Without takeover the windows are nil.
func ExampleDeflater() {
	deflater, inflater := codec.NewDeflater(15), codec.NewInflater() // one each for a loop
	sent := codec.NewSendWindow(15)                                  // one for a connection
	received := codec.NewWindow(15)                                  // at the other end of it

	text := []byte(`{"room":"general","user":{"id":4711,"name":"ada"},"ts":1763800000000,` +
		`"text":"hello there, hello everyone","mentions":["bob","carol"],"reactions":[]}`)
	for range 2 {
		payload := deflater.AppendMessage(nil, text, sent)
		frame := codec.AppendCompressedFrame(nil, codec.Text, true, payload)

		var r codec.Reader
		r.Init(&codec.ReaderConfig{Role: codec.Client, Rsv1: true})
		ev, _, _, _ := r.Next(frame)
		back, err := inflater.Inflate(ev.Payload, received, codec.InflateLimit{MaxMessage: 64 << 10})
		fmt.Println(ev.Compressed, len(payload) < len(text), len(payload) < 20, bytes.Equal(back, text), err)
	}
	// Output:
	// true true false true <nil>
	// true true true true <nil>
}

// What inflates to more than the limit is refused as soon as that shows.
func ExampleInflater_Inflate() {
	payload := codec.NewDeflater(15).AppendMessage(nil, make([]byte, 16<<20), nil)
	_, err := codec.NewInflater().Inflate(payload, nil, codec.InflateLimit{MaxMessage: 1 << 20, MaxRatio: -1})
	fmt.Println(errors.Is(err, codec.ErrMessageTooBig), err)
	// Output:
	// true codec: message is over the size limit (status 1009 message too big)
}
