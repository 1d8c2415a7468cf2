//go:build !race && !portable

package engine_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fanloop-go/fanloop/engine"
)

// Sends of many goroutines to connections of one loop and of two: what the locks of
// connections and the mailboxes of loops cost where senders meet. cpu-ns/op is CPU time of
// the process, that of the reading client included, which is the same for all.
func BenchmarkSendOfManyGoroutines(b *testing.B) {
	const conns, senders, size, ahead = 64, 16, 64, 512 << 10
	for _, loops := range []int{1, 2} {
		b.Run(fmt.Sprint("loops=", loops), func(b *testing.B) {
			var mu sync.Mutex
			var sockets []*engine.WebSocket
			client := newPlainClient(b, listen(b, &engine.Server{Loops: loops, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
				mu.Lock()
				defer mu.Unlock()
				sockets = append(sockets, ws)
			}}))
			var read atomic.Int64
			drain(b, client, conns, &read)
			frame := make([]byte, size)
			var sent atomic.Int64
			begun := cpuTime(b)
			b.ResetTimer()
			var all sync.WaitGroup
			for sender := range senders {
				all.Go(func() {
					for i := sender; i < b.N; i += senders {
						for sent.Load()-read.Load() > ahead {
							runtime.Gosched()
						}
						sent.Add(size + 2)
						if err := sockets[i*7%conns].Send(engine.Binary, frame); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			for sent.Load() > read.Load() {
				time.Sleep(50 * time.Microsecond)
			}
			b.StopTimer()
			b.ReportMetric(float64(cpuTime(b)-begun)/float64(b.N), "cpu-ns/op")
		})
	}
}

// drain opens connections and counts the bytes that come, until the benchmark ends.
func drain(b *testing.B, client *plainClient, conns int, read *atomic.Int64) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	var fds []int
	for range conns {
		fd := client.open(b)
		fds = append(fds, fd)
		if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			b.Fatal(err)
		}
	}
	var stop atomic.Bool
	var reader sync.WaitGroup
	reader.Go(func() {
		events, buf := make([]unix.EpollEvent, conns), make([]byte, 64<<10)
		for !stop.Load() {
			n, _ := unix.EpollWait(poll, events, 100)
			for _, ev := range events[:max(0, n)] {
				if k, err := unix.Read(int(ev.Fd), buf); err == nil {
					read.Add(int64(k))
				}
			}
		}
	})
	b.Cleanup(func() {
		stop.Store(true)
		reader.Wait()
		for _, fd := range append(fds, poll) {
			_ = unix.Close(fd)
		}
	})
}

// cpuTime returns the CPU time of the process.
func cpuTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
