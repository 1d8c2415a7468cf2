//go:build linux

package engine_test

import (
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// stranger is a client that connects and never finishes its opening handshake.
type stranger struct {
	*rawClient
	socket *paced
	since  time.Duration
	rest   string // what it sends, an octet in each moment
}

// joinStranger connects one that sends nothing, or an octet in each moment of a
// request or a TLS handshake.
func (w *world) joinStranger() {
	addr, rest := w.plain, ""
	switch w.rng.IntN(4) {
	case 0:
		rest = testkit.UpgradeHead(w.plain)
		rest = rest[:len(rest)-2] + "X: " + string(pattern(4000))
	case 1:
		addr = w.secure
	case 2:
		addr, rest = w.secure, "\x16\x03\x01\x10\x00\x01\x00\x0f\xfc\x03\x03"+string(pattern(4000))
	}
	c, socket, err := w.dial(addr, true)
	if err != nil {
		w.t.Fatal(err)
	}
	socket.on, socket.may = true, 1<<30
	w.strangers = append(w.strangers, &stranger{rawClient: c, socket: socket, since: w.now(), rest: rest})
	if w.clock != nil {
		eventually(w.t, "a stranger is accepted", func() bool { return w.srv.Conns() >= w.counted() })
	}
}

// drip sends the next octet.
func (s *stranger) drip() {
	if s.rest != "" {
		_, _ = s.socket.Write([]byte(s.rest[:1])) // to memory
		s.rest = s.rest[1:]
		s.socket.flush()
	}
}

// judgeStrangers lets go of those that the server has ended, and fails if one is left
// after its time.
func (w *world) judgeStrangers() {
	buf := make([]byte, 1000)
	kept := w.strangers[:0]
	for _, s := range w.strangers {
		_, err := s.socket.Read(buf)
		for err == nil { // the answer
			_, err = s.socket.Read(buf)
		}
		ended := !isTemporary(err)
		if ended {
			_ = s.Close() // as it should
			continue
		}
		kept = append(kept, s)
		if limit := w.limits.HandshakeTimeout; w.clock != nil && w.now() >= s.since+limit+2*(tick+w.longestStep(s.since)) {
			w.t.Errorf("[handshake in time] a stranger that came at %v is left at %v, with HandshakeTimeout %v", s.since, w.now(), limit)
		}
	}
	w.strangers = kept
}

// counted is how many connections there are.
func (w *world) counted() (n int) {
	for _, s := range w.strangers {
		if k, up := s.socket.kernel(); up && !k.sawEnd() {
			n++
		}
	}
	for _, s := range w.alive {
		if engine.PhaseOf(s.ws) != "closed" {
			n++
		}
	}
	return n
}
