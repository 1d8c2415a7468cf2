package engine_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// rawClient is a client that writes and reads octets as it is told.
type rawClient struct {
	net.Conn
	t          testing.TB
	br         *bufio.Reader
	extensions string // that were agreed
}

// dialRaw connects to addr and closes the connection with the test.
func dialRaw(t testing.TB, addr string) *rawClient {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return newRawClient(t, nc)
}

// dialUnix is dialRaw for a unix socket.
func dialUnix(t testing.TB, path string) *rawClient {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return newRawClient(t, nc)
}

func newRawClient(t testing.TB, nc net.Conn) *rawClient {
	_ = nc.SetDeadline(time.Now().Add(patience))
	return &rawClient{Conn: nc, t: t, br: bufio.NewReader(patientReader{nc})}
}

// patientReader has patience with each read, however long the test is.
type patientReader struct{ net.Conn }

func (r patientReader) Read(p []byte) (int, error) {
	_ = r.SetReadDeadline(time.Now().Add(patience))
	return r.Conn.Read(p)
}

// openRaw connects to addr and finishes the opening handshake.
func openRaw(t testing.TB, addr string, lines ...string) *rawClient {
	t.Helper()
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr, lines...))
	c.wantUpgraded()
	return c
}

// send writes octets.
func (c *rawClient) send(octets string) {
	c.t.Helper()
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.Conn, octets); err != nil {
		c.t.Fatal("write:", err)
	}
}

// sendFrame writes one masked frame.
func (c *rawClient) sendFrame(op engine.OpCode, fin bool, payload []byte) {
	c.t.Helper()
	c.send(string(codec.AppendMaskedFrame(nil, op, fin, payload)))
}

// readResponse reads the head and body of an HTTP answer.
func (c *rawClient) readResponse() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Fatal("reading the HTTP answer:", err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, ""
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal("reading the body of the HTTP answer:", err)
	}
	return resp, string(body)
}

// wantUpgraded reads the answer 101.
func (c *rawClient) wantUpgraded() *http.Response {
	c.t.Helper()
	resp, body := c.readResponse()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		c.t.Fatalf("status %d (%q), want 101", resp.StatusCode, body)
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != testkit.AcceptKey {
		c.t.Fatalf("Sec-WebSocket-Accept %q, want %q", got, testkit.AcceptKey)
	}
	c.extensions = strings.Join(resp.Header.Values("Sec-WebSocket-Extensions"), " | ")
	return resp
}

// wantRefused reads an HTTP answer with this status, after which the server
// ends the connection.
func (c *rawClient) wantRefused(status int) (*http.Response, string) {
	c.t.Helper()
	resp, body := c.readResponse()
	if resp.StatusCode != status {
		c.t.Fatalf("status %d (%q), want %d", resp.StatusCode, body, status)
	}
	c.wantEOF()
	return resp, body
}

// readFrame reads one frame of the server.
func (c *rawClient) readFrame() (codec.Header, []byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.br, head[:2]); err != nil {
		return codec.Header{}, nil, err
	}
	raw := head[:2:2]
	more := map[byte]int{126: 2, 127: 8}[head[1]&0x7F]
	raw = append(raw, make([]byte, more)...)
	if _, err := io.ReadFull(c.br, raw[2:]); err != nil {
		return codec.Header{}, nil, err
	}
	if head[1]&0x80 != 0 {
		return codec.Header{}, nil, errors.New("the server masked a frame")
	}
	h, _, err := codec.ParseHeader(raw)
	if err != nil {
		return h, nil, err
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(c.br, payload)
	return h, payload, err
}

// wantFrame reads a frame and compares it.
func (c *rawClient) wantFrame(op engine.OpCode, fin bool, payload string) {
	c.t.Helper()
	h, got, err := c.readFrame()
	if err != nil {
		c.t.Fatalf("waiting for %v %.40q: %v", op, payload, err)
	}
	if h.OpCode != op || h.Fin != fin || string(got) != payload {
		c.t.Fatalf("got %v fin=%v %.80q, want %v fin=%v %.80q", h.OpCode, h.Fin, got, op, fin, payload)
	}
}

// wantMessage reads a message of one frame.
func (c *rawClient) wantMessage(op engine.OpCode, payload string) {
	c.t.Helper()
	c.wantFrame(op, true, payload)
}

// readClose skips other frames up to the close frame.
func (c *rawClient) readClose() (engine.StatusCode, string) {
	c.t.Helper()
	for {
		h, payload, err := c.readFrame()
		if err != nil {
			c.t.Fatal("waiting for a close frame:", err)
		}
		if h.OpCode != codec.Close {
			continue
		}
		if len(payload) == 0 {
			return engine.StatusNoStatusRcvd, ""
		}
		if len(payload) < 2 {
			c.t.Fatalf("close frame with a payload of %d byte", len(payload))
		}
		return engine.StatusCode(binary.BigEndian.Uint16(payload)), string(payload[2:])
	}
}

// wantClose reads up to the close frame, compares its code, and wants nothing
// behind it but the end of the stream.
func (c *rawClient) wantClose(code engine.StatusCode) (reason string) {
	c.t.Helper()
	got, reason := c.readClose()
	if got != code {
		c.t.Fatalf("close code %d (%q), want %d", uint16(got), reason, uint16(code))
	}
	c.wantEOF()
	return reason
}

// wantEOF wants nothing more but the orderly end of the stream.
func (c *rawClient) wantEOF() {
	c.t.Helper()
	rest, err := io.ReadAll(c.br)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("at the end: %q, %v; want nothing and EOF", rest, err)
	}
}

// wantGone wants the end of the stream, by a reset or not, and ignores what
// comes before.
func (c *rawClient) wantGone() {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c.br)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatal("the server did not end the connection")
	}
}
