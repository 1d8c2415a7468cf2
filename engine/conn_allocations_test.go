package engine_test

import (
	"bytes"
	"io"
	"math"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// skipCosts skips what counts allocations in builds that add some.
func skipCosts(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	needs(t, noAllocations)
}

// leastAllocated runs fn several times and returns what the cheapest run
// allocated: a collection empties the pools, and the runtime allocates now and
// then.
func leastAllocated(times int, fn func()) (size, objects uint64) {
	size, objects = math.MaxUint64, math.MaxUint64
	for range times {
		sizeBefore, before := allocated()
		fn()
		sizeAfter, after := allocated()
		size, objects = min(size, sizeAfter-sizeBefore), min(objects, after-before)
	}
	return size, objects
}

// TestEchoAllocatesNothing drives an echo with a client that allocates nothing
// itself, so whatever was allocated meanwhile is the server's.
func TestEchoAllocatesNothing(t *testing.T) {
	needs(t, noAllocations)
	skipCosts(t)
	const rounds = 2000
	addr := listen(t, &engine.Server{Loops: 1, Callbacks: echo, Limits: engine.Limits{MaxControlRate: -1}})
	half := pattern(500)
	cases := []struct {
		name   string
		octets string
		want   []byte
	}{
		{"64 bytes", frame(0x82, string(pattern(64))), codec.AppendFrame(nil, engine.Binary, true, pattern(64))},
		{"1 KiB of text", frame(0x81, string(pattern(1024))), codec.AppendFrame(nil, engine.Text, true, pattern(1024))},
		{"16 KiB", frame(0x82, string(pattern(16<<10))), codec.AppendFrame(nil, engine.Binary, true, pattern(16<<10))},
		{"ping", frame(0x89, "still there?"), codec.AppendFrame(nil, codec.Pong, true, []byte("still there?"))},
		{"fragments", frame(0x02, string(half)) + frame(0x80, string(half)), codec.AppendFrame(nil, engine.Binary, true, append(half[:500:500], half...))},
		{"burst of 20", repeat(frame(0x82, "burst"), 20), []byte(repeat(string(codec.AppendFrame(nil, engine.Binary, true, []byte("burst"))), 20))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			nc := openRaw(t, addr).Conn
			send, got := []byte(c.octets), make([]byte, len(c.want))
			exchange := func(rounds int) {
				for range rounds {
					if _, err := nc.Write(send); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, c.want) {
						t.Fatalf("got %.40q, %v", got, err)
					}
				}
			}
			exchange(min(rounds, 200)) // pools fill
			_, n := leastAllocated(5, func() { exchange(rounds / 5) })
			if n > rounds/500 {
				t.Errorf("%d objects were allocated in %d rounds, want none", n, rounds/5)
			}
		})
	}
}

func repeat(s string, n int) string { return string(bytes.Repeat([]byte(s), n)) }

// TestIdleConnectionIsOneOrTwoObjects opens connections by system calls, so that
// what is left on the heap is the server's.
func TestIdleConnectionIsOneOrTwoObjects(t *testing.T) {
	needs(t, noAllocations)
	skipCosts(t)
	const idle = 500
	srv := &engine.Server{Loops: 1, Callbacks: echo}
	addr := listen(t, srv)
	open := func(n int) (fds []int) {
		for range n {
			fds = append(fds, openBare(t, addr))
		}
		return fds
	}
	fds := open(700) // the loop's own tables have their size now
	closeAll(t, fds)
	eventually(t, "the end of the first connections", func() bool { return srv.Conns() == 0 })

	fds = make([]int, 0, idle)
	sizeBefore, before := liveHeap()
	fds = append(fds, open(idle)...)
	eventually(t, "all connections", func() bool { return srv.Conns() == idle })
	sizeAfter, after := liveHeap()
	objects := float64(int64(after)-int64(before)) / idle
	size := float64(int64(sizeAfter)-int64(sizeBefore)) / idle
	if objects > 2 || objects < 0.9 {
		t.Errorf("an idle connection is %.2f objects, want 1 or 2", objects)
	}
	if size > 512 {
		t.Errorf("an idle connection is %.0f bytes of heap, want at most 512", size)
	}
	t.Logf("%.2f objects, %.0f bytes", objects, size)
	closeAll(t, fds)
}

// openBare opens a WebSocket and returns its descriptor, which the runtime does
// not know of.
func openBare(t *testing.T, addr string) int {
	t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	deadline := unix.NsecToTimeval(patience.Nanoseconds())
	sa := &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}
	head := make([]byte, 512)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &deadline); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, sa); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte(testkit.UpgradeHead(addr))); err != nil {
		t.Fatal(err)
	}
	n, err := unix.Read(fd, head)
	for err == unix.EINTR { // a socket with a timeout is not restarted after a signal of the runtime
		n, err = unix.Read(fd, head)
	}
	if err != nil || !bytes.HasPrefix(head[:n], []byte("HTTP/1.1 101 ")) {
		t.Fatalf("%q, %v", head[:max(n, 0)], err)
	}
	return fd
}

func closeAll(t *testing.T, fds []int) {
	t.Helper()
	for _, fd := range fds {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	}
}
