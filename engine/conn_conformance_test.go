package engine_test

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// conformance is what a client sends after the opening handshake and the exact
// octets an echo server answers. The names begin with the case numbers of the
// Autobahn test suite.
type conformance struct {
	name string
	send []string // frames
	want []string // frames
	end  bool     // the server ends the connection behind want
}

const (
	stays = false
	ends  = true
)

// TestConformance is F19 for its cases too: how the octets are cut changes
// nothing.
func TestConformance(t *testing.T) {
	addr := listen(t, &engine.Server{Callbacks: echo})
	eachConformance(t, func(t *testing.T) *rawClient { return openRaw(t, addr) })
}

// R16: TLS in between changes nothing either, where a record holds an octet and
// where it holds a part of a message.
func TestConformanceOverTLS(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	addr := listenWith(t, &engine.Server{Callbacks: echo}, "127.0.0.1:0", engine.ListenOptions{TLS: id.Server()})
	for name, version := range testkit.TLSVersions {
		t.Run(name, func(t *testing.T) {
			config := id.Client()
			config.MaxVersion = version
			eachConformance(t, func(t *testing.T) *rawClient {
				c := dialRaw(t, addr).secured(config)
				c.send(testkit.UpgradeHead(addr))
				c.wantUpgraded()
				return c
			})
		})
	}
}

func eachConformance(t *testing.T, open func(t *testing.T) *rawClient) {
	for _, c := range conformanceCases() {
		t.Run(c.name, func(t *testing.T) {
			all := strings.Join(c.send, "")
			t.Run("at once", func(t *testing.T) { c.run(t, open(t), []string{all}) })
			t.Run("frame by frame", func(t *testing.T) { c.run(t, open(t), c.send) })
			if len(all) <= 512 {
				t.Run("octet by octet", func(t *testing.T) { c.run(t, open(t), octets(all)) })
			}
		})
	}
}

func (c *conformance) run(t *testing.T, conn *rawClient, writes []string) {
	want := strings.Join(c.want, "")
	if c.end == stays {
		writes = append(writes[:len(writes):len(writes)], fromClient.ping("still here"))
		want += fromServer.pong("still here")
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for _, s := range writes {
			if _, err := conn.Write([]byte(s)); err != nil {
				return // the server has failed the connection
			}
		}
	}()
	conn.wantOctets(want)
	<-written
	if c.end == stays {
		conn.send(fromClient.closing("\x03\xe8"))
		conn.wantOctets(fromServer.closing(1000, ""))
	}
	conn.wantEnd()
}

// wantOctets reads exactly these.
func (c *rawClient) wantOctets(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.br, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("got %.100x after %d of %d octets, want %.100x (%v)", got[:n], n, len(want), want, err)
	}
}

// wantEnd wants nothing more but the end. It may be a reset where the client
// sent something behind its close frame.
func (c *rawClient) wantEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.br)
	if len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("at the end: %.100x, %v; want nothing", rest, err)
	}
}

func octets(s string) []string {
	var pieces []string
	for i := range len(s) {
		pieces = append(pieces, s[i:i+1])
	}
	return pieces
}

// fromClient and fromServer make the frames of the two sides.
var (
	fromClient clientFrames
	fromServer serverFrames
)

type clientFrames struct{}

func (clientFrames) frame(op engine.OpCode, fin bool, payload string) string {
	return string(codec.AppendMaskedFrame(nil, op, fin, []byte(payload)))
}

func (c clientFrames) text(s string) string    { return c.frame(engine.Text, true, s) }
func (c clientFrames) part(s string) string    { return c.frame(engine.Text, false, s) }
func (c clientFrames) more(s string) string    { return c.frame(engine.Continuation, false, s) }
func (c clientFrames) last(s string) string    { return c.frame(engine.Continuation, true, s) }
func (c clientFrames) ping(s string) string    { return c.frame(codec.Ping, true, s) }
func (c clientFrames) pong(s string) string    { return c.frame(codec.Pong, true, s) }
func (c clientFrames) closing(s string) string { return c.frame(codec.Close, true, s) }

// cut makes one text message of frames with n octets each.
func (c clientFrames) cut(text string, n int) []string {
	var fragments []string
	op := engine.Text
	for len(text) > n {
		fragments = append(fragments, c.frame(op, false, text[:n]))
		text, op = text[n:], engine.Continuation
	}
	return append(fragments, c.frame(op, true, text))
}

// begun is a continuation frame of which n octets are still to come.
func (clientFrames) begun(payload string, n int) string {
	var head [codec.MaxHeaderSize]byte // the mask key 0 leaves the payload as it is
	used := codec.PutHeader(&head, codec.Header{OpCode: engine.Continuation, Masked: true, Length: int64(len(payload) + n)})
	return string(head[:used]) + payload
}

type serverFrames struct{}

func (serverFrames) frame(op engine.OpCode, payload string) string {
	return string(codec.AppendFrame(nil, op, true, []byte(payload)))
}

func (s serverFrames) text(p string) string { return s.frame(engine.Text, p) }
func (s serverFrames) pong(p string) string { return s.frame(codec.Pong, p) }
func (s serverFrames) closing(code engine.StatusCode, reason string) string {
	return s.frame(codec.Close, string(codec.AppendClosePayload(nil, code, reason)))
}

// broken is the answer to what RFC 6455 forbids.
func (s serverFrames) broken(reason string) []string { return []string{s.closing(1002, reason)} }

// withFirst changes the first octet of a frame: FIN, RSV1-3 and the opcode.
func withFirst(octet byte, frame string) string { return string([]byte{octet}) + frame[1:] }

func frames(f ...string) []string { return f }
