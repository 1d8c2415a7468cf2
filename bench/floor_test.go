package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// The sample of RFC 6455 §1.3.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	upgradeHead  = "GET /any/path?x=1 HTTP/1.1\r\nHost: floor\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"sec-websocket-key:  " + sampleKey + "\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

func dialFloor(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", startFloor(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func wantUpgrade(t *testing.T, r *bufio.Reader) {
	t.Helper()
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		head.WriteString(line)
	}
	if got := head.String(); !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.Contains(got, "Accept: "+sampleAccept+"\r\n") {
		t.Fatalf("answer to the upgrade:\n%s", got)
	}
}

func wantFrame(t *testing.T, r io.Reader, op ws.OpCode, payload []byte) {
	t.Helper()
	f, err := readFrame(r)
	if err != nil {
		t.Fatal(err)
	}
	if f.Header.Masked || !f.Header.Fin || f.Header.OpCode != op || !bytes.Equal(f.Payload, payload) {
		t.Fatalf("got %+v and %d payload bytes, want opcode %d and %d bytes", f.Header, len(f.Payload), op, len(payload))
	}
}

func masked(op ws.OpCode, payload []byte) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, true, bytes.Clone(payload))))
}

func payload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func TestFloorEchoesEveryLengthForm(t *testing.T) {
	c := dialFloor(t)
	r := bufio.NewReader(c)
	send(t, c, []byte(upgradeHead))
	wantUpgrade(t, r)
	for _, n := range []int{0, 1, 31, 32, 33, 125, 126, 65535, 65536, 3 << 20} {
		send(t, c, masked(ws.OpBinary, payload(n)))
		wantFrame(t, r, ws.OpBinary, payload(n))
	}
}

func TestFloorEchoesTheSameHoweverTheBytesAreCut(t *testing.T) {
	frames := [][]byte{payload(5), payload(200), {}, payload(126), payload(40)}
	wire := []byte(upgradeHead)
	for _, p := range frames {
		wire = append(wire, masked(ws.OpText, p)...)
	}
	for _, step := range []int{1, 3, 64, 191, len(wire)} {
		t.Run(fmt.Sprintf("pieces of %d", step), func(t *testing.T) {
			c := dialFloor(t)
			r := bufio.NewReader(c)
			for piece := range slices.Chunk(wire, step) {
				send(t, c, piece)
			}
			wantUpgrade(t, r)
			for _, p := range frames {
				wantFrame(t, r, ws.OpText, p)
			}
		})
	}
}

func TestFloorAnswersPingByPongAndIgnoresPong(t *testing.T) {
	c := dialFloor(t)
	r := bufio.NewReader(c)
	send(t, c, []byte(upgradeHead))
	wantUpgrade(t, r)
	send(t, c, slices.Concat(masked(ws.OpPong, payload(3)), masked(ws.OpPing, payload(9)), masked(ws.OpBinary, payload(2))))
	wantFrame(t, r, ws.OpPong, payload(9))
	wantFrame(t, r, ws.OpBinary, payload(2))
}

func TestFloorAnswersCloseAndCloses(t *testing.T) {
	c := dialFloor(t)
	r := bufio.NewReader(c)
	send(t, c, []byte(upgradeHead))
	wantUpgrade(t, r)
	body := ws.NewCloseFrameBody(ws.StatusGoingAway, "bye")
	send(t, c, slices.Concat(masked(ws.OpBinary, payload(2)), masked(ws.OpClose, body)))
	wantFrame(t, r, ws.OpBinary, payload(2))
	wantFrame(t, r, ws.OpClose, body)
	if _, err := r.ReadByte(); err != io.EOF {
		t.Fatalf("after the close frame: %v, want EOF", err)
	}
}

func TestFloorDropsWhatItCannotServe(t *testing.T) {
	for name, wire := range map[string]string{
		"an unmasked frame":     upgradeHead + "\x82\x01a",
		"a frame beyond memory": upgradeHead + "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff....",
		"a request with no key": "GET / HTTP/1.1\r\nHost: floor\r\n\r\n",
		"a head without end":    "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			c := dialFloor(t)
			send(t, c, []byte(wire))
			var timeout net.Error
			if _, err := io.Copy(io.Discard, c); errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("the connection is still open")
			}
		})
	}
}

func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if f.Header.Length > 16<<20 {
		return f, errors.New("the frame declares more than 16 MiB")
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}
