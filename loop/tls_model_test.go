package loop

import (
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// handshakeModel has peers of every kind shake hands at once with a group that has
// few places. Whoever does it right and asks again gets through, and in the end
// nothing is held.
type handshakeModel struct {
	g              *Group
	ln             *Listener
	server, client *tls.Config
	hello          []byte
	served         atomic.Int64
}

// accept makes a handler that may pause, close, or fail at any time.
func (m *handshakeModel) accept(*Loop) Handler {
	s := newEcho()
	config := m.server
	if rand.IntN(10) == 0 {
		config = config.Clone()
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			switch rand.IntN(3) {
			case 0:
				runtime.Goexit()
			case 1:
				panic("a secret")
			}
			time.Sleep(time.Millisecond)
			return nil, nil
		}
	}
	s.onOpen = func(s *scripted) {
		s.SetTimer(time.Second) // those that do not get on end
		s.StartTLSServer(config, nil, func() { s.SetTimer(time.Hour) })
		switch rand.IntN(20) {
		case 0:
			s.Close(CloseMode(rand.IntN(int(CloseReset))) + 1)
		case 1:
			s.PauseRead()
			_ = s.Do(func() { s.ResumeRead() })
		}
	}
	s.onTimer = func(s *scripted) { s.Close(CloseNow) }
	return s
}

// honest asks until it is served.
func (m *handshakeModel) honest(t *testing.T) {
	for end := time.Now().Add(patience); ; {
		if m.exchange() {
			m.served.Add(1)
			return
		}
		if time.Now().After(end) {
			t.Error("an honest client was not served")
			return
		}
	}
}

func (m *handshakeModel) exchange() bool {
	nc, err := net.Dial("tcp", m.ln.Addr().String())
	if err != nil {
		return false
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	pieces := &inPieces{Conn: nc, cut: func(n int) int { return 1 + rand.IntN(n) }}
	peer := tls.Client(pieces, m.client)
	if _, err := peer.Write([]byte("hello")); err != nil {
		return false
	}
	_, err = io.ReadFull(peer, make([]byte, 5))
	return err == nil
}

// rude begins a handshake and does not go on.
func (m *handshakeModel) rude() {
	nc, err := net.Dial("tcp", m.ln.Addr().String())
	if err != nil {
		return
	}
	defer nc.Close()
	hello := fragmented(m.hello, 1+rand.IntN(len(m.hello)))
	_, _ = nc.Write(hello[:rand.IntN(len(hello)+1)])
	switch rand.IntN(4) {
	case 0: // leaves
	case 1:
		_ = nc.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, nc)
	case 2:
		_, _ = nc.Write([]byte("GET / HTTP/1.1"))
		_, _ = io.Copy(io.Discard, nc)
	case 3:
		_, _ = io.Copy(io.Discard, nc)
	}
}

func TestHandshakesOfEveryKindAtOnce(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		m := &handshakeModel{g: start(t, Config{Loops: 2, MaxHandshakes: 4})}
		m.server, m.client = tlsConfigs(version)
		m.hello = captureHello(t, m.client)
		m.g.places.longWait = 20 * time.Millisecond
		m.g.hellos.limit = 16 << 10
		m.ln = listen(t, m.g, nil, m.accept)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for range 5 {
					m.honest(t)
				}
			})
			all.Go(func() {
				for range 4 {
					m.rude()
				}
			})
		}
		all.Wait()
		if n := m.served.Load(); n != 100 && !t.Failed() {
			t.Errorf("%d were served", n)
		}
		wantIdle(t, m.g)
		eventually(t, "nothing is held", func() bool {
			m.g.hellos.mu.Lock()
			defer m.g.hellos.mu.Unlock()
			return m.g.Conns() == 0 && m.g.hellos.held == 0 && m.g.hellos.list.Len() == 0
		})
		for _, l := range m.g.Loops() {
			if n := l.HeldFor(UseHandshakes); n != 0 || l.Encrypted() != 0 {
				t.Errorf("the loop counts %d bytes and %d connections", n, l.Encrypted())
			}
		}
	}
}
