package engine_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// storm is many clients that connect, exchange marked messages, and go in every
// way there is. Whatever they receive has to be their own.
type storm struct {
	addr    string
	workers int
	rounds  int           // of each worker; 0: until the end
	end     time.Time     // of a storm without rounds
	next    atomic.Uint64 // numbers the connections

	open, refused, dropped, exchanged atomic.Int64
}

// errRefused is a connection that the server did not take.
var errRefused = errors.New("refused")

func (s *storm) run(t *testing.T) {
	var busy sync.WaitGroup
	for w := range s.workers {
		busy.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for round := 0; s.goesOn(round) && !t.Failed(); round++ {
				if err := s.connection(t, rng); err != nil {
					t.Error(err)
				}
			}
		})
	}
	busy.Wait()
	t.Logf("%d connections: %d open, %d refused, %d dropped; %d messages came back",
		s.next.Load(), s.open.Load(), s.refused.Load(), s.dropped.Load(), s.exchanged.Load())
}

func (s *storm) goesOn(round int) bool {
	if s.rounds > 0 {
		return round < s.rounds
	}
	return time.Now().Before(s.end)
}

// connection is the life of one client. The error is what must not be; that the
// server drops the connection before it is open is counted.
func (s *storm) connection(t *testing.T, rng *rand.Rand) error {
	id := s.next.Add(1)
	nc, err := net.Dial("tcp", s.addr)
	switch {
	case errors.Is(err, syscall.ECONNRESET): // taken, and reset at once
		s.dropped.Add(1)
		return nil
	case err != nil:
		return fmt.Errorf("connection %d: %w", id, err)
	}
	defer nc.Close()
	c := newRawClient(t, nc)
	head := testkit.UpgradeHead(s.addr)
	if rng.IntN(2) == 0 {
		head = strings.Replace(head, "/chat", "/late", 1)
	}
	if rng.IntN(10) == 0 { // leaves in the middle of the handshake
		_, _ = nc.Write([]byte(head[:rng.IntN(len(head))]))
		return s.leave(c, rng)
	}
	switch err := s.open101(c, head); {
	case errors.Is(err, errRefused):
		return nil
	case err != nil:
		return fmt.Errorf("connection %d: %w", id, err)
	}
	for seq := range 1 + rng.IntN(8) {
		if err := s.exchange(c, marked(id, seq, rng.IntN(3000))); err != nil {
			return fmt.Errorf("connection %d message %d: %w", id, seq, err)
		}
	}
	for seq := range rng.IntN(4) { // answers on their way when it leaves
		_, _ = nc.Write([]byte(testkit.Masked(engine.Text, marked(id, 1000+seq, 20000))))
	}
	return s.leave(c, rng)
}

// open101 finishes the opening handshake, or says errRefused.
func (s *storm) open101(c *rawClient, head string) error {
	_, _ = c.Conn.Write([]byte(head)) // the answer tells
	resp, err := http.ReadResponse(c.br, nil)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case err != nil:
		s.dropped.Add(1)
		return errRefused
	case resp.StatusCode == http.StatusServiceUnavailable:
		s.refused.Add(1)
		return errRefused
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	s.open.Add(1)
	return nil
}

// marked is a message that says whose it is from its first to its last octet.
func marked(id uint64, seq, size int) string {
	mark := fmt.Sprintf("<%d %d>", id, seq)
	return strings.Repeat(mark, 1+size/len(mark))
}

func (s *storm) exchange(c *rawClient, text string) error {
	if _, err := c.Conn.Write([]byte(testkit.Masked(engine.Text, text))); err != nil {
		return err
	}
	h, got, err := c.readFrame()
	switch {
	case err != nil:
		return err
	case h.OpCode != engine.Text || string(got) != text:
		return fmt.Errorf("foreign bytes: got %v %.60q, want %.60q", h.OpCode, got, text)
	}
	s.exchanged.Add(1)
	return nil
}

// leave ends the connection in one of many ways.
func (s *storm) leave(c *rawClient, rng *rand.Rand) error {
	tcp := c.Conn.(*net.TCPConn)
	switch rng.IntN(4) {
	case 0:
		_ = tcp.SetLinger(0) // a reset
	case 1:
		_ = tcp.CloseWrite()
	case 2:
		_, _ = tcp.Write([]byte(testkit.Masked(codec.Close, "")))
	}
	return tcp.Close()
}

// watch samples the descriptors of srv until stop is closed, and returns the
// most there were.
func (s *storm) watch(srv *child, stop <-chan struct{}) <-chan int {
	most := make(chan int, 1)
	go func() {
		n := 0
		for {
			now, _ := srv.countDescriptors() // a process that is gone is found out otherwise
			n = max(n, now)
			select {
			case <-stop:
				most <- n
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return most
}

// weather runs s against srv and checks what is left of it.
func (s *storm) weather(t *testing.T, srv *child, room int) {
	t.Helper()
	openRaw(t, srv.addr).exchange("before the storm")
	before := srv.descriptors(t)
	stop := make(chan struct{})
	most := s.watch(srv, stop)
	s.run(t)
	close(stop)
	if n := <-most; n > before+room {
		t.Errorf("%d descriptors at most, %d before; want at most %d more", n, before, room)
	}
	eventually(t, "descriptors are at the baseline", func() bool { return srv.descriptors(t) <= before })
	openRaw(t, srv.addr).exchange("after the storm")
	for line := range strings.Lines(srv.log.String()) {
		if !strings.Contains(line, loopIsHeldUp) {
			t.Error("the server logged: ", line)
		}
	}
}

// size makes s short, or as long as R06 has it.
func (s *storm) size() *storm {
	s.workers, s.rounds = 32, 60
	if longTests {
		s.workers, s.rounds, s.end = 256, 0, time.Now().Add(time.Minute)
	}
	return s
}

// R06
func TestConnectAndResetStorm(t *testing.T) {
	srv := startChild(t, childConfig{Loops: 2})
	s := (&storm{addr: srv.addr}).size()
	s.weather(t, srv, 4*s.workers)
	if s.refused.Load()+s.dropped.Load() > 0 {
		t.Error("connections were refused or dropped without a limit")
	}
}

// R07
func TestConnectAndResetStormAtTheConnectionLimit(t *testing.T) {
	const limit = 12
	srv := startChild(t, childConfig{Loops: 2, MaxConnections: limit})
	s := (&storm{addr: srv.addr}).size()
	s.weather(t, srv, 4*s.workers)
	if s.open.Load() == 0 || s.refused.Load() == 0 {
		t.Error("the storm was not at the limit")
	}
}

// A flood of connections over the limit that stay to be told so must not hold a
// descriptor each.
func TestRefusalsAreBounded(t *testing.T) {
	const limit, flood, most = 2, 600, 256
	srv := startChild(t, childConfig{Loops: 2, MaxConnections: limit, CloseTimeout: time.Hour}) // those who are told stay
	before := srv.descriptors(t)
	for range limit {
		openRaw(t, srv.addr)
	}
	var told, reset int
	var conns []net.Conn
	for range flood {
		nc, err := net.Dial("tcp", srv.addr)
		if errors.Is(err, syscall.ECONNRESET) {
			reset++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(patience))
		conns = append(conns, nc)
	}
	for _, nc := range conns {
		if resp, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil {
			reset++
		} else if resp.StatusCode == http.StatusServiceUnavailable {
			told++
		}
	}
	if told+reset != flood || told == 0 || reset == 0 {
		t.Errorf("%d connections: %d were told 503 and %d reset", flood, told, reset)
	}
	if told > most {
		t.Errorf("%d were told at the same time, want at most %d", told, most)
	}
	if n := srv.descriptors(t); n > before+limit+most {
		t.Errorf("%d descriptors, %d before", n, before)
	}
}

// Who is told that the server is full must not keep it full.
func TestRefusedConnectionsTakeNoPlace(t *testing.T) {
	srv := &engine.Server{Limits: engine.Limits{MaxConnections: 1, CloseTimeout: time.Hour}, Callbacks: echo}
	addr := listen(t, srv)
	first := openRaw(t, addr)
	for range 5 {
		dialRaw(t, addr).wantRefused(http.StatusServiceUnavailable) // and stays
	}
	_ = first.Close()
	eventually(t, "the first is gone", func() bool { return srv.Conns() == 5 })
	openRaw(t, addr).exchange("my turn")
}
