//go:build !race

package loop

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// liveHeap returns the bytes and objects in use after a collection, stacks
// included.
func liveHeap() (size, objects uint64) {
	var m runtime.MemStats
	for range 3 { // pools are emptied in two steps
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse, m.HeapObjects
}

// idleTLS opens connections to ln, has one message echoed on each, and leaves
// nothing of their clients in this process but descriptors.
func idleTLS(t *testing.T, ln *Listener, config *tls.Config, fds []int32) {
	t.Helper()
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = unix.Close(int(fd))
		}
	})
	for i := range fds {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, tls.Client(nc, config), "once")
		fd, err := duplicate(nc)
		if err != nil {
			t.Fatal(err)
		}
		fds[i] = int32(fd)
		_ = nc.Close()
	}
}

func TestIdleEncryptedConnectionHoldsNoBuffers(t *testing.T) {
	needs(t, noAllocations)
	const idle, most = 300, 4608 // of which the handler and what it closes over take 700
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			server, client := tlsConfigs(version)
			g := start(t, Config{BlockedAfter: -1})
			ln := listen(t, g, nil, func(*Loop) Handler {
				s := newEcho()
				secure(s, asServer(server))
				return s
			})
			first, fds := make([]int32, 600), make([]int32, idle)
			idleTLS(t, ln, client, first) // tables and pools have their size now
			before, objectsBefore := liveHeap()
			idleTLS(t, ln, client, fds)
			after, objectsAfter := liveHeap()
			size := (int(after) - int(before)) / idle
			t.Logf("%d bytes, %d objects", size, (int(objectsAfter)-int(objectsBefore))/idle)
			if size > most {
				t.Errorf("an idle encrypted connection takes %d bytes, want at most %d", size, most)
			}
		})
	}
}

// A client of the standard library allocates while it reads, and so both ends
// are connections of loops.
func TestEncryptedEchoAllocatesNothing(t *testing.T) {
	needs(t, noAllocations)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, size := range []int{64, 4 << 10, 2 * gatherMin, 100 << 10} {
			server, client := tlsConfigs(version)
			g := start(t, Config{Loops: 2, BlockedAfter: -1})
			ping := startPingPong(t, g, server, client, size)
			wantNoAllocs(t, tls.VersionName(version), ping)
		}
	}
}

// startPingPong returns a function that has size bytes echoed, over two
// connections of g.
func startPingPong(t testing.TB, g *Group, server, client *tls.Config, size int) func() {
	t.Helper()
	ln, err := g.Listen("127.0.0.1:0", ListenConfig{Accept: func(*Loop) Handler {
		s := newEcho()
		if server != nil {
			secure(s, asServer(server))
		}
		return s
	}})
	if err != nil {
		t.Fatal(err)
	}
	msg, got, back := make([]byte, size), 0, make(chan struct{}, 1)
	c := newScripted()
	c.onData = func(_ *scripted, b []byte) {
		if got += len(b); got == size {
			got = 0
			back <- struct{}{}
		}
	}
	open := (<-chan struct{})(c.open)
	if client != nil {
		open = secure(c, asClient(client))
	}
	if err := g.Dial(ln.Addr(), c, DialConfig{}); err != nil {
		t.Fatal(err)
	}
	<-open
	return func() {
		if err := c.Write(nil, msg); err != nil {
			t.Fatal(err)
		}
		<-back
	}
}

// BenchmarkEncryptedEcho has one client of the standard library talk to each kind
// of server. cpu-ns/op is that of both ends.
func BenchmarkEncryptedEcho(b *testing.B) {
	server, client := tlsConfigs(tls.VersionTLS13)
	ours := func(secured bool) func(*testing.B) (net.Addr, func()) {
		return func(b *testing.B) (net.Addr, func()) {
			g, err := Start(Config{Loops: 1, BlockedAfter: -1})
			if err != nil {
				b.Fatal(err)
			}
			ln, err := g.Listen("127.0.0.1:0", ListenConfig{Accept: func(*Loop) Handler {
				s := newEcho()
				if secured {
					secure(s, asServer(server))
				}
				return s
			}})
			if err != nil {
				b.Fatal(err)
			}
			return ln.Addr(), func() { _ = g.Stop(b.Context()) }
		}
	}
	goroutine := func(b *testing.B) (net.Addr, func()) {
		nl, err := tls.Listen("tcp", "127.0.0.1:0", server)
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			if nc, err := nl.Accept(); err == nil {
				_, _ = io.CopyBuffer(struct{ io.Writer }{nc}, struct{ io.Reader }{nc}, make([]byte, readBufferSize))
			}
		}()
		return nl.Addr(), func() { _ = nl.Close() }
	}
	plain := func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) }
	secured := func(addr string) (net.Conn, error) { return tls.Dial("tcp", addr, client) }
	for _, size := range []int{64, 1 << 10, 16 << 10, 256 << 10} {
		for _, kind := range []struct {
			name  string
			serve func(*testing.B) (net.Addr, func())
			dial  func(string) (net.Conn, error)
		}{{"plain", ours(false), plain}, {"TLS", ours(true), secured}, {"TLS on a goroutine", goroutine, secured}} {
			b.Run(fmt.Sprintf("%d bytes/%s", size, kind.name), func(b *testing.B) {
				addr, end := kind.serve(b)
				defer end()
				nc, err := kind.dial(addr.String())
				if err != nil {
					b.Fatal(err)
				}
				defer nc.Close()
				msg := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					if _, err := nc.Write(msg); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(nc, msg); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// cpuTime is what this process has used, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return use.Utime.Nano() + use.Stime.Nano()
}

// A handshake counts what it holds: of a ClientHello that is not whole, or waits,
// its bytes, and less than one that runs.
func TestTheLedgerCountsHandshakes(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	hello := captureHello(t, client)
	g := start(t, Config{MaxHandshakes: 1})
	withClock(g)
	held := func(s *scripted) (state, received int) {
		s.Lock()
		defer s.Unlock()
		if s.tls.handshake != nil {
			received = cap(s.tls.handshake.in)
		}
		return s.tls.tallied.handshake - received, received
	}
	half := newEcho()
	secure(half, asServer(server))
	if _, err := serveOne(t, g, nil, half).Write(hello[:1000]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "half a ClientHello is counted", func() bool {
		state, received := held(half)
		return received >= 1000 && received < 2000 && state < 1000
	})
	running, _ := helloOnly(t, g, server, hello)
	if state, received := held(running); state < 10<<10 || received != 0 {
		t.Errorf("a handshake that waits for its peer holds %d bytes, and %d of what was received", state, received)
	}
	queued, _ := helloOnly(t, g, server, hello)
	if state, received := held(queued); state > 1000 || received < len(hello) {
		t.Errorf("a handshake that queues holds %d bytes, and %d of a ClientHello of %d", state, received, len(hello))
	}
	for _, s := range []*scripted{half, queued, running} {
		s.Close(CloseNow)
		receive(t, s.closed)
		if state, received := held(s); state+received != 0 {
			t.Errorf("a connection that has ended holds %d and %d bytes", state, received)
		}
	}
	if n := g.loops[0].HeldFor(UseHandshakes); n != 0 {
		t.Errorf("the loop counts %d bytes after all have ended", n)
	}
}
