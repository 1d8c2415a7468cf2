//go:build linux

package engine_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// How a peer of the model reads, and what it sends, in each moment.
const (
	readsAll    = iota // what is there
	readsSlowly        // some KiB
	readsAByte
	readsNothing

	sendsNothing = iota
	sendsLetters
	sendsSlowly // a long letter, some KiB in each moment
	sendsAByte  // of a long letter
	sendsPings  // within the rate
	sendsAFlood // of pings
)

// habit is what a peer does until it gets another.
type habit struct {
	reads, sends int
	answers      bool // pings
	finishes     bool // the closing handshake
}

func (h habit) String() string {
	return fmt.Sprintf("reads %d sends %d answers %v finishes %v", h.reads, h.sends, h.answers, h.finishes)
}

func randomHabit(rng *rand.Rand) habit {
	pick := func(weights ...int) int {
		n := rng.IntN(100)
		for i, w := range weights {
			if n -= w; n < 0 {
				return i
			}
		}
		return 0
	}
	return habit{
		reads:    readsAll + pick(50, 25, 10, 15),
		sends:    sendsNothing + pick(35, 30, 10, 8, 15, 2),
		answers:  rng.IntN(5) > 0,
		finishes: rng.IntN(5) > 0,
	}
}

// timePeer is the client of one connection of the model.
type timePeer struct {
	*deflateClient
	s      *subject
	rng    *rand.Rand
	socket *paced
	reader codec.Reader
	habit  habit

	frames [][]byte // that wait for the end of the frame under way
	upload *upload  // nil: no letter is under way
	begun  int      // letters
	up     facts
	uncredited

	letters  int            // of the server's sends, received
	numbers  map[string]int // of the last one published in each topic
	news     map[string]int // how many were
	gotClose bool
	owes     int // answers to pings

	sentClose bool
	sentCode  engine.StatusCode
	sentEnd   bool  // of what it sends, by TCP or TLS
	fin       bool  // by TCP
	left      bool  // closed the socket
	eof       bool  // the server ended what it sends
	broken    error // the socket's
}

// uncredited is what was written and is not known to have left.
type uncredited struct {
	some    bool
	bytes   int  // of letters
	letters bool // one is whole
}

// upload is a letter on its way.
type upload struct {
	op        engine.OpCode
	rest      []byte // of its one frame, or of the payload
	fragments bool   // each piece is a frame
	packed    bool
	pace      int
}

// kind is what a connection is besides a WebSocket.
type kind struct{ secure, narrow, packed bool }

func (k kind) String() string {
	return fmt.Sprintf("wss %v narrow %v compressed %v", k.secure, k.narrow, k.packed)
}

// connect opens the connection of s, and makes its socket one that does not block.
func (s *subject) connect() error {
	w, addr := s.w, s.w.plain
	var lines []string
	if s.kind.secure {
		addr = w.secure
	}
	if s.kind.packed {
		lines = append(lines, offering("permessage-deflate"))
	}
	c, socket, err := w.dial(addr, s.kind.narrow)
	if err != nil {
		return err
	}
	if s.kind.secure {
		tc := tls.Client(c.Conn, w.id.Client())
		if err := tc.Handshake(); err != nil {
			return err
		}
		c = newRawClient(w.t, tc)
	}
	if _, err := io.WriteString(c.Conn, testkit.UpgradeHead(addr, lines...)); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the answer to the upgrade: %+v, %v", resp, err)
	}
	c.extensions = resp.Header.Get("Sec-WebSocket-Extensions")
	p := s.peer
	p.deflateClient, p.socket = newDeflateClient(c), socket
	p.reader.Init(&codec.ReaderConfig{Role: codec.Client, MaxMessage: -1, MaxFragments: -1, Rsv1: c.extensions != ""})
	socket.on, socket.may = true, 0
	early, _ := c.br.Peek(c.br.Buffered())
	p.parse(bytes.Clone(early))
	return nil
}

// dial connects to addr.
func (w *world) dial(addr string, small bool) (*rawClient, *paced, error) {
	d := net.Dialer{Control: wide}
	if small {
		d.Control = narrow
	}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	w.t.Cleanup(func() { _ = nc.Close() })
	socket, err := newPaced(nc)
	return newRawClient(w.t, socket), socket, err
}
