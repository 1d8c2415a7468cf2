package interop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/codec"
)

const differentialLimit = 300

// verdict is what an endpoint does with a stream: the messages it delivers, the
// pongs it sends and the status of the close frame it sends, 0 if none.
type verdict struct {
	messages, pongs []string
	status          codec.StatusCode
	cutShort        bool // ours only: the stream ended inside of a message
}

// oursOn plays the smallest endpoint on top of a Reader. It also returns how many
// bytes at the end are a header not yet whole, and the rule that was broken.
func oursOn(stream []byte) (v verdict, headBytes int, fault error) {
	var r codec.Reader
	r.Init(&codec.ReaderConfig{MaxMessage: differentialLimit, MaxFragments: -1})
	defer r.Reset()
	b := bytes.Clone(stream)
	for {
		ev, ok, n, err := r.Next(b)
		if err == nil && !ok {
			v.cutShort = r.InMessage()
			return v, partialHeader(stream), nil
		}
		b = b[n:]
		var code codec.StatusCode
		if err == nil && ev.OpCode == codec.Close {
			code, _, err = codec.ParseClosePayload(ev.Payload)
		}
		switch {
		case err != nil:
			var protocol *codec.ProtocolError
			errors.As(err, &protocol)
			v.status = protocol.Code
			return v, 0, err
		case ev.OpCode == codec.Close:
			v.status = code
			return v, 0, nil
		case ev.OpCode == codec.Ping:
			v.pongs = append(v.pongs, string(ev.Payload))
		case ev.OpCode.IsData():
			v.messages = append(v.messages, fmt.Sprintf("%v %q", ev.OpCode, ev.Payload))
		}
	}
}

// partialHeader returns how many bytes at the end of well-formed frames are a header
// not yet whole.
func partialHeader(stream []byte) int {
	for {
		h, n, err := codec.ParseHeader(stream)
		size := int64(n) + h.Length
		if err != nil || n > 0 && size >= int64(len(stream)) {
			return 0
		}
		if n == 0 {
			return len(stream)
		}
		stream = stream[size:]
	}
}

// memoryConn is a connection whose peer sent in and then closed its side.
type memoryConn struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *memoryConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *memoryConn) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *memoryConn) Close() error                     { return nil }
func (c *memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

// hijackable hands out a memoryConn as the connection behind a request.
type hijackable struct {
	*httptest.ResponseRecorder
	conn *memoryConn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

func openingRequest() *http.Request {
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	return req
}

// addReplies reads what the peer wrote since the first skip bytes.
func (v *verdict) addReplies(t *testing.T, conn *memoryConn, skip int) {
	t.Helper()
	b := conn.out.Bytes()[skip:]
	var r codec.Reader
	r.Init(&codec.ReaderConfig{Role: codec.Client})
	for {
		ev, ok, n, err := r.Next(b)
		if err != nil {
			t.Fatalf("the peer wrote %q: %v", b, err)
		}
		if !ok {
			return
		}
		b = b[n:]
		switch {
		case ev.OpCode == codec.Pong:
			v.pongs = append(v.pongs, string(ev.Payload))
		case ev.OpCode == codec.Close && len(ev.Payload) < 2:
			v.status = codec.StatusNoStatusRcvd
		case ev.OpCode == codec.Close:
			v.status = codec.StatusCode(ev.Payload[0])<<8 | codec.StatusCode(ev.Payload[1])
		}
	}
}

func gorillaOn(t *testing.T, stream []byte) (v verdict) {
	conn := &memoryConn{in: bytes.NewReader(nil)}
	upgrader := gorilla.Upgrader{ReadBufferSize: 512, WriteBufferSize: 512}
	ws, err := upgrader.Upgrade(&hijackable{httptest.NewRecorder(), conn}, openingRequest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.in.Reset(stream)
	skip := conn.out.Len()
	ws.SetReadLimit(differentialLimit)
	for {
		kind, p, err := ws.ReadMessage()
		if err != nil {
			v.addReplies(t, conn, skip)
			return v
		}
		v.messages = append(v.messages, fmt.Sprintf("%v %q", codec.OpCode(kind), p))
	}
}

func coderOn(t *testing.T, stream []byte) (v verdict) {
	conn := &memoryConn{in: bytes.NewReader(nil)}
	ws, err := coder.Accept(&hijackable{httptest.NewRecorder(), conn}, openingRequest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.in.Reset(stream)
	skip := conn.out.Len()
	ws.SetReadLimit(differentialLimit)
	for {
		kind, r, err := ws.Reader(context.Background())
		var p []byte
		if err == nil {
			p, err = io.ReadAll(r)
		}
		if err != nil {
			ws.CloseNow()
			v.addReplies(t, conn, skip)
			return v
		}
		v.messages = append(v.messages, fmt.Sprintf("%v %q", codec.OpCode(kind), p))
	}
}

// Exceptions: rules on which a peer is known to differ from us, with what it does
// instead. Up to the broken rule it must still agree.
var (
	gorillaExceptions = map[string]string{
		"payload length is not in its shortest form": "takes lengths that are not in their shortest form (RFC 6455 section 5.2 forbids them)",
		"payload length has its highest bit set":     "drops the connection without a close frame",
		reasonOf(codec.ErrInvalidUTF8):               "leaves UTF-8 of messages to the application, and closes with 1002 on a bad reason",
		"close frame payload is one byte":            "takes a close payload of one byte for an empty one",
	}
	coderExceptions = map[string]string{
		"payload length is not in its shortest form": "takes lengths that are not in their shortest form (RFC 6455 section 5.2 forbids them)",
		"payload length has its highest bit set":     "drops the connection without a close frame",
		reasonOf(codec.ErrInvalidUTF8):               "does not check UTF-8",
		"client frame is not masked":                 "drops the connection without a close frame",
	}
)

// reasonOf says which rule was broken; "" if none was.
func reasonOf(fault error) string {
	var protocol *codec.ProtocolError
	if !errors.As(fault, &protocol) {
		return ""
	}
	return protocol.Reason
}

// checkPeer compares a peer with us and returns the exception that applied.
func checkPeer(t *testing.T, name string, stream []byte, ours, theirs verdict, fault error, exceptions map[string]string) string {
	t.Helper()
	exception := exceptions[reasonOf(fault)]
	switch {
	case exception != "":
	case errors.Is(fault, codec.ErrMessageTooBig) && theirs.status == 0:
		exception = "on the way past 2^63 gorilla drops without a close frame; coder counts bytes that arrived, not those declared"
	case name == "gorilla" && ours.status == codec.StatusBadGateway && theirs.status == codec.StatusProtocolError:
		exception = "does not know status 1014"
	case name == "coder" && ours.cutShort && len(theirs.messages) == len(ours.messages)+1:
		// Exception: a message whose stream ends between two of its frames is
		// delivered as if it were whole. Everything else must agree.
		theirs.messages = theirs.messages[:len(ours.messages)]
	}
	agrees := slices.Equal(ours.messages, theirs.messages) && slices.Equal(ours.pongs, theirs.pongs) && ours.status == theirs.status
	if exception != "" {
		agrees = isPrefix(ours.messages, theirs.messages) && isPrefix(ours.pongs, theirs.pongs)
	}
	if !agrees {
		t.Errorf("%s differs on %x (%v)\nours:   %+v\ntheirs: %+v", name, stream, fault, ours, theirs)
	}
	return exception
}

func isPrefix(short, long []string) bool {
	return len(short) <= len(long) && slices.Equal(short, long[:len(short)])
}

// checkPeers returns whether both peers gave the same verdict without exception.
func checkPeers(t *testing.T, stream []byte) bool {
	t.Helper()
	ours, headBytes, fault := oursOn(stream)
	// Exception: gorilla judges a header by its first two bytes, we by all of it.
	stream = stream[:len(stream)-headBytes]
	g := checkPeer(t, "gorilla", stream, ours, gorillaOn(t, stream), fault, gorillaExceptions)
	c := checkPeer(t, "coder", stream, ours, coderOn(t, stream), fault, coderExceptions)
	return g == "" && c == ""
}

// F21
func TestPeersGiveTheSameVerdict(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const streams = 2000
	same := 0
	for range streams {
		if checkPeers(t, streamOf(randomScript(rng))) {
			same++
		}
		if t.Failed() {
			return
		}
	}
	if same < streams/3 {
		t.Errorf("only %d of %d streams were compared without an exception", same, streams)
	}
}

// F15, F21
func TestPeersTakeTheSameStatusCodes(t *testing.T) {
	for number := 900; number < 5100; number++ {
		payload := []byte{byte(number >> 8), byte(number), 'x'}
		checkPeers(t, frameOf(0x88, string(payload)))
	}
}

// F21
func FuzzPeers(f *testing.F) {
	for _, script := range []string{
		"\x81\x00\x05hello\x89\x00\x02hi", "\x01\x00\x01a\x89\x00\x00\x80\x00\x01b", "\x88\x00\x02\x03\xe8",
		"\x82\xd0\x03abc", "\x82\xf0\x03abc", "\x82\xc0\x03abc", "\x80\x00\x00", "\x83\x0f\x00", "\xa2\x00\x00", "\x88\x00\x01\x03",
	} {
		f.Add([]byte(script), true)
	}
	f.Add(frameOf(0x81, "hello"), false)
	f.Fuzz(func(t *testing.T, stream []byte, scripted bool) {
		if scripted {
			stream = streamOf(stream)
		}
		checkPeers(t, stream)
	})
}
