package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/loop"
)

const (
	dialing  = 100             // opening handshakes at a time
	patience = 2 * time.Second // how long await waits for one echo more
)

// load is one run: open, send, await, close, report.
type load struct {
	// Set before open, and not changed.
	url                      string
	conns, loops, rate, size int

	group *loop.Group
	began time.Time     // the time in a message counts from here
	news  chan struct{} // holds one when an echo has come or a connection has ended

	sent, echoed, refused atomic.Int64 // messages
	alive                 atomic.Int64 // connections
	late                  histogram

	mu     sync.Mutex
	opened []*engine.WebSocket // guarded by mu while open runs
	failed map[string]int      // dials, by why they failed; guarded by mu
	lost   map[string]int      // connections, by why they ended; guarded by mu
}

// open opens the connections, some at a time. It goes on when some fail.
func (l *load) open(ctx context.Context) (err error) {
	l.began, l.news = time.Now(), make(chan struct{}, 1)
	l.failed, l.lost = make(map[string]int), make(map[string]int)
	if l.group, err = loop.Start(loop.Config{Loops: l.loops}); err != nil {
		return err
	}
	opt := &engine.DialOptions{
		Group:     l.group,
		Callbacks: engine.Callbacks{OnMessage: l.onMessage, OnClose: l.onClose},
	}
	var dials sync.WaitGroup
	places := make(chan struct{}, dialing)
	for range l.conns {
		places <- struct{}{}
		dials.Go(func() {
			l.dial(ctx, opt)
			<-places
		})
	}
	dials.Wait()
	return nil
}

func (l *load) dial(ctx context.Context, opt *engine.DialOptions) {
	ws, err := engine.Dial(ctx, l.url, opt)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed[reason(err)]++
		return
	}
	l.opened = append(l.opened, ws)
	l.alive.Add(1)
}

// reason returns what errors of the same kind have in common: not the ports.
func reason(err error) string {
	var answer *engine.StatusError
	var system syscall.Errno
	switch {
	case errors.As(err, &answer):
		return fmt.Sprint("HTTP ", answer.Status)
	case errors.As(err, &system):
		return system.Error()
	}
	return err.Error()
}

// send sends on one connection after the other until ctx is done or all are lost. A message
// carries the time at which it was due, so that what holds up this loop counts as late too.
func (l *load) send(ctx context.Context) {
	open, message, start := slices.Clone(l.opened), make([]byte, l.size), time.Now()
	for i := 0; len(open) > 0 && l.wait(ctx, start, i); i++ {
		binary.BigEndian.PutUint64(message, uint64(l.due(start, i).Sub(l.began)))
		k := i % len(open)
		l.sent.Add(1) // before its echo can come
		switch err := open[k].Send(engine.Binary, message); {
		case errors.Is(err, engine.ErrBackpressure):
			l.sent.Add(-1)
			l.refused.Add(1)
		case err != nil: // lost
			l.sent.Add(-1)
			open = slices.Delete(open, k, k+1)
		}
	}
}

func (l *load) due(start time.Time, i int) time.Time {
	return start.Add(time.Duration(i) * time.Second / time.Duration(l.rate))
}

// wait waits until message i is due. It returns false if ctx is done.
func (l *load) wait(ctx context.Context, start time.Time, i int) bool {
	if early := time.Until(l.due(start, i)); early > 0 {
		select {
		case <-time.After(early):
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// onMessage runs on the loops.
func (l *load) onMessage(_ *engine.WebSocket, _ engine.OpCode, data []byte) {
	if len(data) != l.size {
		return // no echo: a greeting
	}
	l.late.add(time.Since(l.began) - time.Duration(binary.BigEndian.Uint64(data)))
	l.echoed.Add(1)
	l.tell()
}

func (l *load) tell() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// onClose runs on the loops.
func (l *load) onClose(ws *engine.WebSocket, code engine.StatusCode, _ string) {
	l.alive.Add(-1)
	l.tell()
	if ws.Cause() == engine.CauseClosed { // by close
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost[fmt.Sprintf("%v (%v)", ws.Cause(), code)]++
}

// await waits for the echoes of what was sent, as long as they come.
func (l *load) await(ctx context.Context) {
	for l.echoed.Load() < l.sent.Load() && l.alive.Load() > 0 {
		select {
		case <-l.news:
		case <-time.After(patience):
			return
		case <-ctx.Done():
			return
		}
	}
}

// close closes what is open and ends the loops.
func (l *load) close() error {
	for _, ws := range l.opened {
		_ = ws.Close(engine.StatusNormalClosure, "")
	}
	for _, ws := range l.opened {
		<-ws.Done()
	}
	return l.group.Stop(context.Background())
}

func (l *load) report(w io.Writer) {
	fmt.Fprintf(w, "connections  %d of %d\n", len(l.opened), l.conns)
	table(w, "failed", l.failed)
	table(w, "lost", l.lost)
	fmt.Fprintf(w, "messages     %d sent, %d echoed, %d refused by backpressure\n", l.sent.Load(), l.echoed.Load(), l.refused.Load())
	fmt.Fprint(w, "latency     ")
	for _, percent := range []float64{50, 90, 99, 99.9, 100} {
		fmt.Fprintf(w, " p%v %v", percent, l.late.percentile(percent).Round(time.Microsecond))
	}
	fmt.Fprintln(w)
}

func table(w io.Writer, title string, counts map[string]int) {
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%-12s %d: %s\n", title, counts[key], key)
	}
}
