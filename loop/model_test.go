package loop

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The model of one connection: its writers take turns to write records, each
// with the connection's mark, the writer's and a number. What Write took is
// what the peer may get: a prefix of each writer's sequence, nothing foreign.

const recordHead = 12

func appendRecord(b []byte, conn, writer, number uint32, size int) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(conn))
	b = binary.BigEndian.AppendUint16(b, uint16(writer))
	b = binary.BigEndian.AppendUint32(b, number)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	for i := range size {
		b = append(b, byte(conn)^byte(number+uint32(i)))
	}
	return b
}

// checkRecords reads records of conn until the end of nc, and returns how many
// of each writer came.
func checkRecords(nc io.Reader, conn uint32, writers int) (counts []uint32, err error) {
	counts = make([]uint32, writers)
	head := make([]byte, recordHead)
	var body []byte
	for {
		if _, err := io.ReadFull(nc, head); err != nil {
			return counts, nil // cut anywhere: this side or the other closed
		}
		c, w := uint32(binary.BigEndian.Uint16(head)), int(binary.BigEndian.Uint16(head[2:]))
		number, size := binary.BigEndian.Uint32(head[4:]), int(binary.BigEndian.Uint32(head[8:]))
		if c != conn || w >= writers || size > 1<<20 {
			return counts, fmt.Errorf("connection %d got the head of a record of connection %d, writer %d, %d bytes", conn, c, w, size)
		}
		if number != counts[w] {
			return counts, fmt.Errorf("connection %d: record %d of writer %d came as number %d", conn, number, w, counts[w])
		}
		if cap(body) < size {
			body = make([]byte, size)
		}
		n, err := io.ReadFull(nc, body[:size])
		for i, x := range body[:n] {
			if x != byte(conn)^byte(number+uint32(i)) {
				return counts, fmt.Errorf("connection %d: a foreign byte in record %d", conn, number)
			}
		}
		if err != nil {
			return counts, nil
		}
		counts[w]++
	}
}

// slowReader reads in pieces of any size, and now and then not at all.
type slowReader struct {
	nc     net.Conn
	random *rand.Rand
}

func (r slowReader) Read(b []byte) (int, error) {
	if r.random.IntN(50) == 0 {
		time.Sleep(time.Duration(r.random.IntN(2000)) * time.Microsecond)
	}
	return r.nc.Read(b[:min(len(b), 1+r.random.IntN(32<<10))])
}

func TestEveryPeerGetsAPrefixOfWhatWasTakenForIt(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		checkPrefixes(t, Config{Loops: 2, Backend: b}, func(g *Group, policy *WritePolicy, s *scripted) net.Conn {
			return serveOne(t, g, policy, s)
		})
	})
}

func TestEveryEncryptedPeerGetsAPrefixOfWhatWasTakenForIt(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		checkPrefixes(t, Config{Loops: 2}, func(g *Group, policy *WritePolicy, s *scripted) net.Conn {
			return serveTLS(t, g, policy, s, server, client)
		})
	})
}

func checkPrefixes(t *testing.T, cfg Config, serve func(*Group, *WritePolicy, *scripted) net.Conn) {
	const conns, writers, records = 12, 4, 400
	g := start(t, cfg)
	seed := newRandom(t).Uint64()
	var all sync.WaitGroup
	for i := range uint32(conns) {
		s := newEcholess()
		peer := serve(g, &WritePolicy{Limit: 512 << 10, High: 128 << 10, Low: 16 << 10}, s)
		if i%3 == 0 {
			shrink(t, &s.Conn)
		}
		taken := make([]uint32, writers)
		var writing sync.WaitGroup
		for w := range writers {
			random := rand.New(rand.NewPCG(seed, uint64(i)<<8|uint64(w)))
			write := func() { taken[w] = writeRecords(t, s, random, i, uint32(w), records) }
			if w == 0 {
				writing.Add(1)
				go writeOnLoop(s, func() { defer writing.Done(); write() })
				continue
			}
			writing.Go(write)
		}
		all.Go(func() {
			writing.Wait()
			s.Close([]CloseMode{CloseFlushed, CloseLinger, CloseNow}[i%3])
		})
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)<<8|0xff))
			got, err := checkRecords(slowReader{peer, random}, i, writers)
			_ = peer.Close()
			if err != nil {
				t.Error(err)
			}
			receive(t, s.closed)
			writing.Wait()
			s.checkOrder(t)
			for w := range got {
				if got[w] > taken[w] || i%3 != 2 && got[w] != taken[w] {
					t.Errorf("connection %d: %d records of writer %d came, %d were taken", i, got[w], w, taken[w])
				}
			}
		})
	}
	all.Wait()
}

// newEcholess reads and pauses at will.
func newEcholess() *scripted {
	s := newScripted()
	s.onEOF = func(s *scripted) { s.Close(CloseNow) }
	return s
}

// writeOnLoop runs fn inside an event of s.
func writeOnLoop(s *scripted, fn func()) {
	if s.Do(fn) != nil {
		fn()
	}
}

// writeRecords writes n records at most, by every way there is, and returns how
// many were taken. A record that is refused is given up.
func writeRecords(t *testing.T, s *scripted, random *rand.Rand, conn, writer uint32, n int) (taken uint32) {
	for range n {
		size := random.IntN(200)
		if random.IntN(20) == 0 {
			size = random.IntN(60 << 10)
		}
		rec := appendRecord(nil, conn, writer, taken, size)
		cut := random.IntN(len(rec) + 1)
		var err error
		switch random.IntN(3) {
		case 0:
			err = s.Write(rec[:cut], rec[cut:])
		case 1:
			err = s.Write(nil, rec)
		case 2:
			err = s.WriteShared(NewShared(rec))
		}
		switch err {
		case nil:
			taken++
		case ErrBackpressure:
		case ErrClosed:
			return taken
		default:
			t.Error(err)
		}
		switch random.IntN(30) {
		case 0:
			s.PauseRead()
		case 1:
			s.ResumeRead()
		case 2:
			s.Notify()
		}
	}
	return taken
}

// R06: connects and resets from many goroutines, each with its own marks. By
// default a bounded number of connections; FANLOOP_STORM=60s makes it last.
func TestStormOfConnectsAndResets(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		const storming = 32
		last, connections := time.Duration(0), int64(1500)
		if s := os.Getenv("FANLOOP_STORM"); s != "" {
			var err error
			if last, err = time.ParseDuration(s); err != nil {
				t.Fatal(err)
			}
			connections = 1 << 40
		}
		g := start(t, Config{Loops: 2, Backend: b})
		ln := listenEcho(t, g)
		open := len(descriptors())
		steady := connectTo(t, ln)
		_ = steady.SetDeadline(time.Time{})
		var done atomic.Int64
		var most atomic.Int64
		end := time.Now().Add(last)
		seed := newRandom(t).Uint64()
		var storm sync.WaitGroup
		for i := range storming {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			storm.Go(func() {
				for number := uint32(0); done.Add(1) <= connections && (last == 0 || time.Now().Before(end)); number++ {
					if err := stormOnce(ln, random, uint32(i), number); err != nil {
						t.Error(err)
						return
					}
					if random.IntN(50) == 0 {
						most.Store(max(most.Load(), int64(len(descriptors()))))
					}
				}
			})
		}
		over := make(chan struct{})
		go func() { storm.Wait(); close(over) }()
		for calm := false; !calm; {
			roundTrip(t, steady, "steady")
			select {
			case <-over:
				calm = true
			default:
			}
		}
		// Both ends of what storms at once, and of what the loops have yet to
		// hear the reset of.
		if n := int(most.Load()); n > open+16*storming {
			t.Errorf("%d descriptors were open at a time, %d before the storm", n, open)
		}
		eventually(t, "only the steady connection is left", func() bool { return g.Conns() == 1 })
	})
}

// stormOnce connects, has some marked records echoed, and leaves in one of
// several ways. Errors of the network are part of the storm; foreign bytes are
// not.
func stormOnce(ln *Listener, random *rand.Rand, conn, number uint32) error {
	dialer := net.Dialer{}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, err := dialer.DialContext(ctx, "tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	var sent []byte
	for w := range uint32(1 + random.IntN(4)) {
		sent = appendRecord(sent, conn, number%1000, w, random.IntN(3000))
	}
	if _, err := nc.Write(sent); err != nil {
		return nil
	}
	got := make([]byte, len(sent))
	expect := random.IntN(len(sent) + 1)
	n, _ := io.ReadFull(nc, got[:expect])
	if string(got[:n]) != string(sent[:n]) {
		return fmt.Errorf("connection %d of goroutine %d got bytes it did not send", number, conn)
	}
	switch random.IntN(3) {
	case 0:
		_ = nc.(*net.TCPConn).SetLinger(0) // reset
	case 1:
		_ = nc.(*net.TCPConn).CloseWrite()
		rest, _ := io.ReadAll(nc)
		if string(rest) != string(sent[n:n+len(rest)]) {
			return fmt.Errorf("connection %d of goroutine %d got bytes it did not send", number, conn)
		}
	case 2: // close with bytes unread
	}
	return nil
}
