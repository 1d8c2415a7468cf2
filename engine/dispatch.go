package engine

import (
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/loop"
)

// Dispatch runs OnText, OnBinary, OnMessage, OnFragment and OnClose on a pool of goroutines, for
// callbacks that block. Those of one connection run one after the other, in order, so one
// connection never occupies more than one goroutine. Connections with messages take turns. The
// bytes that callbacks get are copies. The other callbacks run on the loop, maybe at the same
// time as these. Set a connection's own callbacks in OnUpgrade only.
//
// A callback that blocks holds up no other connection while fewer than Workers block. While all
// block, messages wait, up to MaxWaiting and MaxWaitingBytes for each connection, and the log
// says so.
//
// Messages that arrived before the end of the connection are delivered, unless it ended by
// Close, CloseNow, ErrOverload, or a callback that did not return. While 64 connections that
// have ended have messages waiting, those of further ones are skipped (Stats.Skipped). OnClose
// is always called.
type Dispatch struct {
	// Workers bounds the goroutines. 64 of them run at first; more are started while messages
	// wait for callbacks that have run for 100 ms. Default: 1024.
	Workers int
	// MaxWaiting bounds the messages of one connection that wait. Beyond it its reading
	// pauses. Default: 16.
	MaxWaiting int
	// MaxWaitingBytes bounds their bytes in the same way. Default: 1 MiB.
	MaxWaitingBytes int
}

func (d Dispatch) withDefaults() Dispatch {
	setDefault(&d.Workers, 1024)
	setDefault(&d.MaxWaiting, 16)
	setDefault(&d.MaxWaitingBytes, 1<<20)
	return d
}

// lane is the jobs of one connection that wait. Guarded by the mutex of the
// dispatcher.
type lane struct {
	ws     *WebSocket
	jobs   []job
	bytes  int  // of messages in jobs
	busy   bool // ready, or with a worker
	paused bool // reading waits for it
	left   bool // counts in dispatcher.left
}

// job is a callback that waits for a worker.
type job struct {
	run   func()
	bytes int  // of the message it has
	last  bool // OnClose
}

// dispatchMessage gives a copy of a message to the worker pool. On the loop.
func (ws *WebSocket) dispatchMessage(op OpCode, p []byte, fin bool) {
	p = append([]byte(nil), p...)
	ws.dispatch(job{bytes: len(p), run: func() { ws.callMessage(op, p, fin) }})
}

// dispatch gives a job of ws to the worker pool. On the loop.
func (ws *WebSocket) dispatch(j job) {
	d := ws.settings().dispatcher
	l := ws.lane()
	d.mu.Lock()
	defer d.mu.Unlock()
	if j.last {
		d.leave(l)
	}
	l.push(j)
	if !l.paused && (len(l.jobs) > d.cfg.MaxWaiting || l.bytes > d.cfg.MaxWaitingBytes) {
		l.paused = true
		ws.pause(pausedByDispatch)
	}
	if !l.busy {
		d.enqueue(l)
	}
}

// lane returns the lane of ws, made if need be.
func (ws *WebSocket) lane() *lane {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	x := ws.extrasLocked()
	if x.lane == nil {
		x.lane = &lane{ws: ws}
	}
	return x.lane
}

func (l *lane) push(j job) {
	l.jobs = append(l.jobs, j)
	l.bytes += j.bytes
	l.ws.conn.Loop().Hold(loop.UseReceived, j.bytes+jobSize)
}

// pop takes the oldest job. There is one.
func (l *lane) pop() job {
	j := l.jobs[0]
	l.jobs[0] = job{}
	l.jobs = l.jobs[1:]
	l.bytes -= j.bytes
	l.ws.conn.Loop().Hold(loop.UseReceived, -j.bytes-jobSize)
	return j
}

// maxLeft is how many connections that have ended may have messages waiting:
// others could come, send and go without end.
const maxLeft = 64

// leave is the end of the connection of l. Its messages are skipped if no callback is to
// get them, their memory is needed, or too many of those that have ended wait.
func (d *dispatcher) leave(l *lane) {
	if len(l.jobs) == 0 {
		return
	}
	if d.left < maxLeft && !l.ws.out.State().Asked(outlet.AskMute|outlet.AskRelief) {
		l.left = true
		d.left++
		return
	}
	for len(l.jobs) > 0 {
		l.pop()
		d.skipped++
	}
}

// finish makes l ready for another worker after a job.
func (d *dispatcher) finish(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.paused && len(l.jobs) <= d.cfg.MaxWaiting/2 && l.bytes <= d.cfg.MaxWaitingBytes/2 {
		l.paused = false
		l.ws.unpause(pausedByDispatch)
	}
	if l.left && len(l.jobs) <= 1 { // OnClose
		l.left = false
		d.left--
	}
	if l.busy = len(l.jobs) > 0; l.busy {
		d.enqueue(l)
	}
}

// run runs one job. One that does not return ends its connection, as on the loop.
func (d *dispatcher) run(l *lane, j job) {
	ws := l.ws
	ws.settings().guard(panicEnds, func() error {
		if !j.last && ws.out.State().Asked(outlet.AskMute) {
			d.skip(1)
			return nil
		}
		j.run()
		return nil
	}, func(err error) {
		if err != nil {
			ws.out.NoteLocked(outlet.AskMute)                                              // the others get nothing more
			_ = ws.conn.Do(func() { ws.fail(StatusInternalError, "internal error", err) }) // ended: nothing to close
		}
		d.finish(l)
	})
}

// skip counts n messages that are not delivered.
func (d *dispatcher) skip(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.skipped += uint64(n)
}

// jobSize is what a job takes besides its message: its closure, and its place.
const jobSize = 96

// waiting is the memory of what waits for a worker. Any goroutine.
func (l *lane) waiting(d *dispatcher) int {
	if l == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return l.bytes + len(l.jobs)*jobSize
}

// inCallback reports whether the caller is a worker, in a job.
func (d *dispatcher) inCallback() bool {
	if d == nil {
		return false
	}
	return loop.OnBehalf(func(goroutine uint64) bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for w := range d.workers {
			if w.goroutine == goroutine {
				return true
			}
		}
		return false
	})
}
